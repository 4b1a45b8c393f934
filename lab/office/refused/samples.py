"""Contractors who are refused, and days until which they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

REFUSED = "customer: {kind: person, name: 髙橋 太郎, kana: タカハシ タロウ, born: 1980-04-01}\n"
SPELT = "customer: {kind: person, name: Taro Takahashi, born: 1980-04-01}\n"
SOMEONE = "customer: {kind: person, name: 見本 花子, born: 1990-05-05}\n"
NOW = datetime.now(UTC)
SOON, DAY_AFTER = ((NOW + timedelta(days=days)).date().isoformat() for days in (30, 31))
