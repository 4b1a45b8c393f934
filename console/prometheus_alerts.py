"""idtone's active alerts, from the HTTP API of the operator's Prometheus (`/api/v1/rules`).

The alert rules are in `config/monitoring`. Their names begin with `Idtone`.
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
"""Prefix of idtone's rule names."""
WITHIN_S: Final = 3.0
FRESH_S: Final = 5.0
"""Maximum age of a reused response, in seconds. Many open pages thus cause only one request."""
SIZE_LIMIT: Final = 5_000_000
"""Maximum response size in bytes. A response contains all of Prometheus's rules."""
MOST: Final = 100
"""Maximum number of alerts on the page."""
_HIDDEN: Final = frozenset({"alertname", "severity"})
_SEVERITIES: Final = ("critical", "warning")


class AlertState(StrEnum):
    FIRING = "firing"
    PENDING = "pending"
    """The condition holds, but not yet for as long as the rule requires."""


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An active alert. `labels` identify its source and omit its name and severity."""

    name: str
    state: AlertState
    since: datetime
    severity: str
    labels: Mapping[str, str]
    texts: Mapping[str, str]
    """The rule's annotations."""

    def text(self, name: str, language: str) -> str:
        """The rule's text `name` (`summary` or `action`) in this language.

        Falls back to English, or to an empty string if that is missing too.
        """
        in_japanese = self.texts.get(f"{name}_ja", "") if language == JAPANESE else ""
        return in_japanese or self.texts.get(name, "")


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that Prometheus failed to evaluate, with the error."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class AlertsNow:
    """State of idtone's alerts at `at`. If Prometheus gave no valid response, `trouble` says why."""

    at: datetime
    rules: int = 0
    """Number of idtone rules in Prometheus."""
    alerts: Sequence[ActiveAlert] = ()
    """Alerts, firing ones first, then by severity and start."""
    broken: Sequence[BrokenRule] = ()
    trouble: str | None = None

    def count(self, state: AlertState) -> int:
        return sum(alert.state is state for alert in self.alerts)


class AlertsError(IdtoneError):
    """The response from Prometheus is not a list of rules."""


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
    """Read the state of idtone's rules from a Prometheus response. Raises AlertsError."""
    try:
        groups = _REPLY.validate_python(reply).data.groups
        ours = [rule for group in groups for rule in group.rules if rule.name.startswith(OURS)]
        alerts = [_alert(rule.name, alert) for rule in ours for alert in rule.alerts if alert.state in [*AlertState]]
    except ValidationError as error:
        raise AlertsError("the answer is not that of Prometheus to the question for its rules") from error
    broken = [BrokenRule(rule.name, rule.lastError) for rule in ours if rule.health == "err"]
    return AlertsNow(at, len(ours), sorted(alerts, key=_urgency), broken)


def _alert(name: str, alert: _Alert) -> ActiveAlert:
    labels = {label: value for label, value in alert.labels.items() if label not in _HIDDEN}
    since = alert.activeAt if alert.activeAt.tzinfo else alert.activeAt.replace(tzinfo=UTC)
    severity = alert.labels.get("severity", "")
    return ActiveAlert(name, AlertState(alert.state), since, severity, labels, alert.annotations)


def _urgency(alert: ActiveAlert) -> tuple[bool, int, datetime]:
    known = alert.severity in _SEVERITIES
    return (
        alert.state is not AlertState.FIRING,
        _SEVERITIES.index(alert.severity) if known else len(_SEVERITIES),
        alert.since,
    )


class PrometheusAlerts:
    """Client for the Prometheus server at `address`. Use only from the event loop."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._asking = asyncio.Lock()
        self._newest: tuple[float, AlertsNow] | None = None

    async def now(self) -> AlertsNow:
        """The current alerts, requested with a timeout of `WITHIN_S`."""
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
