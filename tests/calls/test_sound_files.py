"""The evidence names the file that Asterisk played, and no sound that was not played."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from inotify_simple import INotify, flags

from idtone.call_control.call_sounds import FILE_CHANGED
from idtone.ledger.evidence.steps import Step, StepKind
from lab import voices
from lab.calls.assert_proved import POLICY, RECOGNISED_S, call_result, over_both_interfaces
from lab.codecs import G722, OPUS
from lab.g711 import PCMA, PCMU
from lab.incoming_call import IncomingCall
from lab.lab import ANSWER, Forwarding, Lab, PlacedCall, lab
from lab.nightly_tests import rest_at_night
from lab.phone import Phone
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.sound_detection import identify

FORMATS = {PCMU: "ulaw", PCMA: "alaw", G722: "sln16", OPUS: "sln16"}


@pytest.fixture(scope="module")
def own_service(asterisk, shared_service) -> Iterator[Service]:
    """A service whose sound files the tests may change."""
    shared_service.stop()
    with Service(asterisk, LAB_REGISTRY, POLICY) as service:
        yield service


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def replaced(path: Path) -> Iterator[None]:
    """Context in which the file has the content of the notice, cut to the file's own length."""
    kept = path.with_name(f"kept-{path.name}")
    other = path.with_name(f"other-{path.name}")
    content = path.with_name(f"notice{path.suffix}").read_bytes()
    other.write_bytes((content * 2)[: path.stat().st_size])
    os.link(path, kept)
    other.replace(path)
    try:
        yield
    finally:
        kept.replace(path)


@contextmanager
def rewritten(path: Path) -> Iterator[None]:
    """Context in which the same file has other content, with the old times of the file."""
    was, kept = path.stat(), path.read_bytes()
    path.write_bytes((path.with_name(f"notice{path.suffix}").read_bytes() * 2)[: len(kept)])
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    try:
        yield
    finally:
        path.write_bytes(kept)


@contextmanager
def preferred(path: Path) -> Iterator[None]:
    """Context in which Asterisk prefers a file with another extension."""
    other = path.with_suffix(".pcm")
    other.write_bytes((path.with_name(f"notice{path.suffix}").read_bytes() * 2)[: path.stat().st_size])
    try:
        yield
    finally:
        other.unlink()


@contextmanager
def in_the_callers_language(path: Path) -> Iterator[None]:
    """Context in which Asterisk prefers a file in the folder of the caller's language."""
    draft, folder = path.with_name("en.draft"), path.with_name("en")
    draft.mkdir()
    (draft / path.name).write_bytes((path.with_name(f"notice{path.suffix}").read_bytes() * 2)[: path.stat().st_size])
    draft.rename(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder)


CHANGES = {each.__name__: each for each in (replaced, rewritten, preferred, in_the_callers_language)}


async def steps_of(phones: Lab, service: Service, placed: PlacedCall) -> list[Step]:
    said = await call_result(phones, service, placed)
    return await asyncio.to_thread(service.steps, said.ending.call_id)


def started(steps: list[Step]) -> dict[str, tuple[object, object, object]]:
    """Party → profile, format and SHA-256 of the sound."""
    return {
        str(step.details["party"]): tuple(step.details.get(name) for name in ("profile", "format", "sha256"))
        for step in steps
        if step.kind is StepKind.SOUND_STARTED
    }


@rest_at_night("change", CHANGES)
async def test_a_changed_file_is_not_played_as_the_licensed_sound(own_service, references, change):
    path = own_service.asterisk.sounds / "sample.ulaw"
    with CHANGES[change](path):
        async with lab(own_service.asterisk) as phones:
            calls = [phones.dial(forwarding) for forwarding in over_both_interfaces(Forwarding())]
            for placed in calls:
                await placed.caller.final()
                phones.pair(placed)
                await phones.talk_and_hang_up(placed, RECOGNISED_S)
                assert placed.called
                assert identify(placed.called.packets, references) == "notice"
                notice = own_service.asterisk.sounds / "notice.ulaw"
                assert started(await steps_of(phones, own_service, placed)) == {
                    "called": ("notice", "ulaw", digest(notice))
                }
        assert f"{path.with_suffix('')}." in own_service.log() or f"/en/{path.name}" in own_service.log()
    async with lab(own_service.asterisk) as phones:
        placed = await phones.place()
        await phones.talk_and_hang_up(placed, RECOGNISED_S)
        assert started(await steps_of(phones, own_service, placed)) == {"called": ("sample", "ulaw", digest(path))}


@rest_at_night("change", ["replaced", "preferred"])
async def test_the_evidence_names_no_file_that_was_changed_before_it_was_played(own_service, references, change):
    """The file is changed after the verdict, while the phone rings."""
    changed = asyncio.Event()

    async def ring(call: IncomingCall) -> None:
        call.ring()
        await changed.wait()
        call.answer()

    async with lab(own_service.asterisk) as phones:
        calls = [
            phones.dial(forwarding, behaviour=ring)
            for forwarding in over_both_interfaces(Forwarding(), Forwarding(direction="outgoing"))
        ]
        for placed in calls:
            await phones.reached(placed)
        with CHANGES[change](own_service.asterisk.sounds / "sample.ulaw"):
            changed.set()
            for placed in calls:
                await placed.caller.final()
                await phones.talk_and_hang_up(placed, RECOGNISED_S)
                assert placed.called
                assert identify(placed.called.packets, references) != "sample"
                steps = await steps_of(phones, own_service, placed)
                failed = [step.details for step in steps if step.kind is StepKind.SOUND_FAILED]
                parties = ["called", "caller"][: len(failed)]
                assert failed == [{"party": party, "why": FILE_CHANGED} for party in parties]
                assert failed
                assert not started(steps)


async def test_the_evidence_names_the_file_that_the_codec_opened(own_service):
    sounds = own_service.asterisk.sounds
    async with lab(own_service.asterisk) as phones:
        for codec, opened in FORMATS.items():
            if codec == OPUS and not own_service.asterisk.has_opus:
                continue
            phones.caller.codecs = (codec,)
            async with Phone(phones.caller.media, voices.CALLED, ANSWER, codecs=(codec,)) as called:
                host, port = called.address
                destination = f"PJSIP/wide/sip:x@{host}:{port};lab={{name}}"
                with INotify() as watching:
                    watching.add_watch(sounds, flags.OPEN)
                    placed = phones.dial(Forwarding(direction="outgoing", endpoint="wide", destination=destination))
                    await placed.caller.final()
                    phones.pair(placed, called)
                    await phones.talk_and_hang_up(placed, RECOGNISED_S)
                    steps = await steps_of(phones, own_service, placed)
                    names = {event.name for event in watching.read(timeout=0) if event.name.startswith("sample.")}
            assert names == {f"sample.{opened}"}
            wanted = "sample", opened, digest(sounds / f"sample.{opened}")
            assert started(steps) == dict.fromkeys(("called", "caller"), wanted)
