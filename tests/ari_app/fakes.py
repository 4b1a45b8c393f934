"""What both interfaces need, in memory: a registry, evidence, and call control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from idtone.call_control import journal_lines
from idtone.call_control.call_control import CallControl
from idtone.calls import Direction, Licence, LicenceStatus, Suspension, Trust
from idtone.decision import Policy
from idtone.errors import LedgerError
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.numbers import Number, parse
from idtone.tones.making.sounds import Sound

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LICENSED, SUSPENDED = parse("0312345678"), parse("0312345677")


class Licensed:
    """A registry in which 0312345678 is licensed and 0312345677 suspended."""

    version = 42
    trust = Trust.SIGNED
    issued = NOW - timedelta(days=30)
    expires = NOW + timedelta(days=30)

    def suspension(self, number: Number) -> Suspension | None:
        return Suspension(SUSPENDED, NOW - timedelta(days=1), "R-1") if number == SUSPENDED else None

    def suspensions(self) -> list[Suspension]:
        return [Suspension(SUSPENDED, NOW - timedelta(days=1), "R-1")]

    def licences(self, number: Number) -> list[Licence] | None:
        day = timedelta(days=1)
        licence = Licence("L", "m", "sample", LicenceStatus.ACTIVE, NOW - day, NOW + day, frozenset(Direction))
        return [licence] if number == LICENSED else None

    def member(self, number: Number) -> str | None:
        return "m" if number == LICENSED else None


class Stopping(Licensed):
    """A registry in which every number is suspended."""

    def suspension(self, number: Number) -> Suspension | None:
        return Suspension(number, NOW, "R-2")


@dataclass
class Notebook:
    """Evidence in memory. Its futures are done at once, unless it is `broken`; kinds in `held` wait for the test."""

    steps: list[Step] = field(default_factory=list)
    broken: bool = False
    full: bool = False
    held: list[Future[None]] | None = None
    held_kind: StepKind = StepKind.DECIDED
    hurried: int = 0

    def append(self, step: Step) -> Future[None]:
        self.steps.append(step)
        future: Future[None] = Future()
        if self.held is not None and step.kind is self.held_kind:
            self.held.append(future)
        elif self.broken:
            future.set_exception(LedgerError("the disk is full"))
        else:
            future.set_result(None)
        return future

    def hurry(self) -> None:
        self.hurried += 1

    def kinds(self) -> list[str]:
        return [step.kind.value for step in self.steps]


def call_control(
    sounds: Mapping[str, Sound], notebook: Notebook, now: Callable[[], datetime] = lambda: NOW
) -> CallControl:
    """Call control as the service makes it, with the default policy."""
    made = {sound.stem.name: sound for sound in sounds.values()}
    return CallControl(registry=Licensed, policy=Policy(), sounds=sounds, evidence=notebook, made=made, now=now)


async def no_journal() -> None:
    """Reads a journal without lines."""


def end(calls: CallControl, call_id: str, nonce: str) -> None:
    """Enter the journal line that ends the call because the called party was busy."""
    at = NOW + timedelta(seconds=5)
    calls.journal(journal_lines.read(f"ended,{call_id},{nonce},{at.timestamp():.6f},BUSY,17,licence-valid,BUSY,"))
