"""Faults of the sound, of files and programs that the service needs, and of the service itself, at every step.

The steps are those of the table of endings.
"""

import asyncio
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lab.calls.assert_proved import POLICY
from lab.calls.fault_at_every_step import (
    EVERYWHERE,
    Blow,
    FaultMoment,
    call_fate,
    dial_all,
    differences,
    evidence_kind,
    records_after_fault,
)
from lab.endings import Event, Step
from lab.lab import Forwarding, lab, wait_until
from lab.nightly_tests import rest_at_night
from lab.publication import LAB_REGISTRY
from lab.service import Service


@pytest.fixture
def own_service(asterisk, shared_service, tmp_path) -> Iterator[Service]:
    """A service that the test may damage, with a registry that the test may change."""
    shared_service.stop()
    registry = tmp_path / "registry.yaml"
    registry.write_text(LAB_REGISTRY.read_text())
    with Service(asterisk, registry, POLICY) as service:
        yield service


# -- the sound ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def other_files(sounds: Path, make: Callable[[Path, bytes], object]) -> AsyncIterator[None]:
    """Context in which the sample's files are replaced. A sound in progress continues from the old files."""
    kept = exchange(sounds, make)
    try:
        yield
    finally:
        restore(kept)


def exchange(sounds: Path, make: Callable[[Path, bytes], object]) -> dict[Path, Path]:
    kept = {path: path.with_name(f"kept-{path.name}") for path in sounds.glob("sample.*")}
    assert kept
    for path, beside in kept.items():
        path.rename(beside)
        make(path, beside.read_bytes())
    return kept


def restore(kept: dict[Path, Path]) -> None:
    for path, beside in kept.items():
        if path.is_dir():
            path.rmdir()
        beside.replace(path)


FILES = {
    "missing": (Event.SOUND_MISSING, lambda path, was: None),
    "unreadable": (Event.SOUND_MISSING, lambda path, was: path.mkdir()),
    "too short": (Event.PLAYBACK_FAILED, lambda path, was: path.write_bytes(was[: len(was) // 4])),
    "too long": (Event.PLAYBACK_LONG, lambda path, was: path.write_bytes(was * 8)),
}


@pytest.mark.alone
@pytest.mark.breadth
@rest_at_night("what", FILES)
async def test_a_sound_that_cannot_be_played(serving, references, what):
    event, make = FILES[what]
    await records_after_fault(
        serving(policy=POLICY), event, lambda service: other_files(service.asterisk.sounds, make), references
    )


# -- what the service stands on -----------------------------------------------------------------------------------


@asynccontextmanager
async def other_registry(service: Service, text: str | None, said: str) -> AsyncIterator[None]:
    already = len(service.log())
    if text is None:
        service.registry.unlink()
    else:
        draft = service.registry.with_name("draft.yaml")
        draft.write_text(text)
        draft.replace(service.registry)
    await wait_until(lambda: said in service.log()[already:], "the service to look at its registry")
    yield


def expired(text: str) -> str:
    return (
        text.replace("version: 42", "version: 43")
        .replace("issued: 2026-11", "issued: 2026-10")
        .replace("expires: 2036-", "expires: 2026-")
    )


@asynccontextmanager
async def locked(service: Service) -> AsyncIterator[None]:
    """Context in which another program locks the ledger during all calls, for longer than SQLite waits."""
    connection = sqlite3.connect(service.ledger, isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@asynccontextmanager
async def full(service: Service) -> AsyncIterator[None]:
    """Context in which the service cannot write to the disk, not even its log."""
    assert service.process
    # Its own user sets the limit: root in a container may not set the limits of others.
    limit = service.as_itself(["prlimit", "--pid", service.process.pid])
    await asyncio.to_thread(subprocess.run, [*limit, "--fsize=0:"], check=True)
    try:
        yield
    finally:
        await asyncio.to_thread(subprocess.run, [*limit, "--fsize=unlimited:"], check=True)
    await asyncio.to_thread(service.stop)
    await asyncio.to_thread(service.start)


GROUND: dict[str, tuple[Event, Blow]] = {
    "a corrupt registry": (
        Event.REGISTRY_UNUSABLE,
        lambda service: other_registry(service, "registry: {\0", "stays in use"),
    ),
    "no registry": (Event.REGISTRY_UNUSABLE, lambda service: other_registry(service, None, "stays in use")),
    "an expired registry": (
        Event.REGISTRY_STALE,
        lambda service: other_registry(service, expired(LAB_REGISTRY.read_text()), "version 43 is in use"),
    ),
    "a locked ledger": (Event.LEDGER_LOCKED, locked),
    "a full disk": (Event.DISK_FULL, full),
}


@pytest.mark.alone
@pytest.mark.breadth
@rest_at_night("what", GROUND)
async def test_what_the_service_stands_on(own_service, references, what):
    event, blow = GROUND[what]
    await records_after_fault(own_service, event, blow, references)


# -- the service --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def killed(service: Service) -> AsyncIterator[None]:
    await asyncio.to_thread(service.stop, signal.SIGKILL)
    yield
    await asyncio.to_thread(service.start)


@asynccontextmanager
async def frozen(service: Service) -> AsyncIterator[None]:
    """Context in which the service is frozen. Without a supervisor, it stays frozen during the calls."""
    assert service.process
    service.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        service.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def stopped(service: Service) -> AsyncIterator[None]:
    stopping = asyncio.create_task(asyncio.to_thread(service.stop))
    yield
    assert await stopping == 0
    await asyncio.to_thread(service.start)


@asynccontextmanager
async def replaced(service: Service) -> AsyncIterator[None]:
    before = service.process
    starting = asyncio.create_task(asyncio.to_thread(service.start, "--take-over"))
    yield
    await starting
    assert before
    assert await asyncio.to_thread(before.wait, 10) == 0


@asynccontextmanager
async def joined(service: Service) -> AsyncIterator[None]:
    second = Service(service.asterisk, service.registry, service.policy)
    second.log_file = service.log_file.with_name("second.log")
    with pytest.raises(RuntimeError, match="another process writes to this ledger"):
        await asyncio.to_thread(second.start)
    yield


LIFE: dict[Event, tuple[Blow, bool]] = {
    Event.SERVICE_KILLED: (killed, True),
    Event.SERVICE_FROZEN: (frozen, True),
    Event.SERVICE_STOPPED: (stopped, False),
    Event.SERVICE_REPLACED: (replaced, False),
    Event.SECOND_INSTANCE: (joined, False),
}
"""Fault of the service → its act, and True if the service is prevented from deciding shortly before."""


@pytest.mark.alone
@rest_at_night("event", LIFE)
async def test_the_service(own_service, references, event):
    blow, held = LIFE[event]
    await records_after_fault(own_service, event, blow, references, held=held)


@pytest.mark.alone
async def test_a_caller_who_gives_up_while_it_is_decided(own_service, references):
    where = tuple(at for at in EVERYWHERE if at.step is Step.DECIDING)
    async with lab(own_service.asterisk) as phones, frozen(own_service):
        placed = dial_all(phones, FaultMoment(), where)
        await asyncio.sleep(0.3)
        for each in placed.values():
            await each.caller.cancel()
        await phones.nothing_is_left()
        fates = {at: await call_fate(phones, each, references) for at, each in placed.items()}
    async with lab(own_service.asterisk) as phones:  # these calls ask the service after the cancelled ones
        for interface in ("ari", "agi"):
            await phones.talk_and_hang_up(await phones.place(Forwarding(interface=interface)))
    await asyncio.to_thread(own_service.entered)
    await wait_until(lambda: all(map(evidence_kind, own_service.records().values())), "every record to be closed")
    assert not differences(Event.CALLER_HANGS_UP, fates, own_service.records())
    assert not any(each.called for each in placed.values())
