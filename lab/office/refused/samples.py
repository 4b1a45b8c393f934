"""Refused contractors, and the days on which their refusals end."""

from datetime import UTC, datetime, timedelta

REFUSED = "customer: {kind: person, name: 髙橋 太郎, kana: タカハシ タロウ, born: 1980-04-01}\n"
SPELT = "customer: {kind: person, name: Taro Takahashi, born: 1980-04-01}\n"
SOMEONE = "customer: {kind: person, name: 見本 花子, born: 1990-05-05}\n"
NOW = datetime.now(UTC)
SOON, DAY_AFTER = ((NOW + timedelta(days=days)).date().isoformat() for days in (30, 31))
DECISION = (
    "refusal decide-basis", "--basis", "joint-use", "--decided", "2026-04-01", "--purpose", "事業者渡りの防止",
    "--responsible", "見本協会", "--minutes", "理事会 2026-4", "--opinion", "弁護士意見書 2026-3",
)  # fmt: skip
"""Command with which an association decides to have the list."""
