"""The alerts of idtone, as the operator's Prometheus judges them: its HTTP API, `/api/v1/rules`.

The rules are those of `config/monitoring`, whose names begin with `Idtone`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from idtone.core.errors import IdtoneError
from idtone.core.translation import JAPANESE, Message

from .json_fetch import FetchError, fetch

PATH: Final = "/api/v1/rules?type=alert"
OURS: Final = "Idtone"
"""The beginning of the names of our rules."""
WITHIN_S: Final = 3.0
FRESH_S: Final = 5.0
"""An answer that is younger is shown as it is: many open pages ask Prometheus once."""
SIZE_LIMIT: Final = 5_000_000
"""Bytes: the answer has all rules of Prometheus."""
MOST: Final = 100
"""Alerts that are shown."""
_HIDDEN: Final = frozenset({"alertname", "severity"})
_SEVERITIES: Final = ("critical", "warning")


class AlertState(StrEnum):
    FIRING = "firing"
    PENDING = "pending"
    """Its condition holds, but not yet for as long as its rule demands."""


@dataclass(frozen=True, slots=True)
class Alert:
    """`labels` are those that say where: without its name and severity."""

    name: str
    state: AlertState
    since: datetime
    severity: str
    labels: Mapping[str, str]
    texts: Mapping[str, str]
    """Its annotations."""

    def text(self, name: str, language: str) -> str:
        """`summary` or `action` in this language; in English if the rule lacks it; empty if it has none."""
        in_japanese = self.texts.get(f"{name}_ja", "") if language == JAPANESE else ""
        return in_japanese or self.texts.get(name, "")


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that Prometheus could not evaluate, and its words about it."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class AlertsNow:
    """What Prometheus said at `at`. `trouble`: why it said nothing."""

    at: datetime
    rules: int = 0
    """Our rules that Prometheus has."""
    alerts: Sequence[Alert] = ()
    """The firing ones first, and of these the critical ones."""
    broken: Sequence[BrokenRule] = ()
    trouble: str | None = None

    def count(self, state: AlertState) -> int:
        return sum(alert.state is state for alert in self.alerts)


class AlertsError(IdtoneError):
    """Prometheus does not answer, or with something else than its rules."""


class _Alert(BaseModel):
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    state: str
    activeAt: datetime


class _Rule(BaseModel):
    name: str
    health: str = "unknown"
    lastError: str = ""
    alerts: list[_Alert] = []


class _Group(BaseModel):
    rules: list[_Rule]


class _Groups(BaseModel):
    groups: list[_Group]


class _Reply(BaseModel):
    status: Literal["success"]
    data: _Groups


_REPLY: Final = TypeAdapter(_Reply)


def read_rules(reply: object, at: datetime) -> AlertsNow:
    """What the reply of Prometheus says about our rules. Pure. Raises AlertsError."""
    try:
        groups = _REPLY.validate_python(reply).data.groups
        ours = [rule for group in groups for rule in group.rules if rule.name.startswith(OURS)]
        alerts = [_alert(rule.name, alert) for rule in ours for alert in rule.alerts if alert.state in [*AlertState]]
    except ValidationError as error:
        raise AlertsError("the answer is not that of Prometheus to the question for its rules") from error
    broken = [BrokenRule(rule.name, rule.lastError) for rule in ours if rule.health == "err"]
    return AlertsNow(at, len(ours), sorted(alerts, key=_urgency), broken)


def _alert(name: str, alert: _Alert) -> Alert:
    labels = {label: value for label, value in alert.labels.items() if label not in _HIDDEN}
    since = alert.activeAt if alert.activeAt.tzinfo else alert.activeAt.replace(tzinfo=UTC)
    severity = alert.labels.get("severity", "")
    return Alert(name, AlertState(alert.state), since, severity, labels, alert.annotations)


def _urgency(alert: Alert) -> tuple[bool, int, datetime]:
    known = alert.severity in _SEVERITIES
    return (
        alert.state is not AlertState.FIRING,
        _SEVERITIES.index(alert.severity) if known else len(_SEVERITIES),
        alert.since,
    )


class PrometheusAlerts:
    """Asks the Prometheus at `address`, which the settings name. Used by the event loop alone."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._asking = asyncio.Lock()
        self._newest: tuple[float, AlertsNow] | None = None

    async def now(self) -> AlertsNow:
        """The alerts now; this takes `WITHIN_S` at most."""
        async with self._asking:
            if self._newest is None or time.monotonic() - self._newest[0] > FRESH_S:
                found = await self._ask()
                self._newest = time.monotonic(), found
            return self._newest[1]

    async def _ask(self) -> AlertsNow:
        at = datetime.now(UTC)
        try:
            status, reply = await fetch("GET", self.address + PATH, WITHIN_S, SIZE_LIMIT)
            if status == HTTPStatus.OK:
                return read_rules(reply, at)
            where = urlsplit(self.address).netloc
            return AlertsNow(at, trouble=Message("{where} answers with status {status}", where=where, status=status))
        except (FetchError, AlertsError) as error:
            return AlertsNow(at, trouble=str(error))
