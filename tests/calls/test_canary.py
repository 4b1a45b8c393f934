"""`idtone canary` on a real Asterisk, with a second Asterisk as the carrier.

Its output is tested without a fault, and with one fault after another.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from lab.asterisk_installation import AsteriskInstallation
from lab.calls.canary_loop import CANARY_CALLED, Loop, loop
from lab.lab import SUSPENDED
from lab.nightly_tests import rest_at_night
from lab.packages import faketime
from lab.publication import LAB_REGISTRY
from lab.service import Service

REGISTRY = LAB_REGISTRY.read_text("utf-8")
NUMBERS = ("0312345678", CANARY_CALLED, "+8131234")

HEARD = {"conforms", "present"}
"""Verdicts on a sound that arrived. On a busy machine, a packet may reach the recording late."""


@pytest.fixture(scope="module")
def looped(installation: AsteriskInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    with loop(installation, tmp_path_factory.mktemp("canary"), REGISTRY) as one:
        yield one


def assert_good(looped: Loop, code: int, report: dict[str, Any]) -> None:
    assert (code, report["good"], report["expected"]) == (0, True, "sample"), report
    assert report["verdict"] in HEARD, report
    assert looped.node.metric("idtone_canary_good") == 1
    assert looped.node.metric("idtone_canary_level_decibels") == pytest.approx(
        -16, abs=3
    )  # a busy machine sends late packets


@rest_at_night("interface", ["ari", "agi"])
def test_the_licensed_sound_arrives_and_the_call_has_a_marked_record(looped: Loop, interface: str) -> None:
    """The canary calls over ARI, and without ARI by means of a call file."""
    before = time.time()
    code, report = looped.node.canary(IDTONE_INTERFACE=interface)
    assert_good(looped, code, report)
    assert before <= looped.node.metric("idtone_canary_timestamp_seconds") <= time.time()
    record = looped.node.service.record(report["call_id"])
    assert (record["canary"], record["outcome"], record["status"]) == (True, "PLAY", "CONNECTED")
    assert record["delivery"]["called"] in ("sent", "confirmed")
    assert record["anomalies"] == []
    assert not any(number in str(report) for number in NUMBERS)
    spool = looped.node.asterisk.scratch / "spool" / "outgoing"
    assert list(spool.iterdir()) == [], "Asterisk has removed the call file"


@pytest.mark.nightly
def test_another_node_answers_and_plays_back_what_arrived_there(looped: Loop) -> None:
    with looped.carrier_does("answers"):
        assert_good(looped, *looped.node.canary(IDTONE_CANARY_ANSWERED="elsewhere"))


@contextmanager
def without_codec(looped: Loop) -> Iterator[None]:
    """Context without the codec. Asterisk plays the .ulaw file unchanged and cannot decode the audio that arrives."""
    modules = ("codec_ulaw", "codec_a_mu")  # also without the detour through A-law
    for module in modules:
        looped.node.asterisk.command(f"module unload {module}.so")
    try:
        yield
    finally:
        for module in modules:
            looped.node.asterisk.command(f"module load {module}.so")


@contextmanager
def with_another_sounds_content(looped: Loop) -> Iterator[None]:
    """Context in which the file of the licensed sound has the content of the notice, at the same length.

    The evidence does not show this.
    """
    sounds = looped.node.asterisk.sounds
    path, kept = sounds / "sample.ulaw", (sounds / "sample.ulaw").read_bytes()
    other = (sounds / "notice.ulaw").read_bytes()
    path.write_bytes((other * 9)[: len(kept)])
    try:
        yield
    finally:
        path.write_bytes(kept)


@contextmanager
def with_an_expired_licence(looped: Loop) -> Iterator[None]:
    with published(looped, 43, REGISTRY.replace("until: 2036-01-10", "until: 2026-02-10")):
        yield


@contextmanager
def published(looped: Loop, version: int, text: str) -> Iterator[None]:
    """Context in which the registry has this text and version."""
    _publish(looped, version, text)
    try:
        yield
    finally:
        _publish(looped, version + 1, REGISTRY)


def _publish(looped: Loop, version: int, text: str) -> None:
    looped.registry.write_text(text.replace("version: 42", f"version: {version}"))
    deadline_s = time.monotonic() + 20
    while looped.node.metric("idtone_registry_version") != version:
        assert time.monotonic() < deadline_s, looped.node.service.log()[-2000:]
        time.sleep(0.05)


class InAnotherYear(Service):
    """A service whose clock is eleven years ahead."""

    forks = False

    def as_itself(self, command: Sequence[object]) -> list[str]:
        ahead = (f"LD_PRELOAD={faketime()}", "FAKETIME=+11y", "FAKETIME_DONT_FAKE_MONOTONIC=1")
        return super().as_itself(["env", *ahead, *command])


@contextmanager
def with_a_wrong_clock(looped: Loop) -> Iterator[None]:
    service = looped.node.service
    service.stop()
    other = InAnotherYear(
        service.asterisk,
        service.registry,
        metrics=service.metrics,
        canary=service.canary,
        association=service.association,
    )
    try:
        with other:
            yield
    finally:
        looped.node.service = service
        service.start()


@contextmanager
def without_carrier(looped: Loop) -> Iterator[None]:
    looped.carrier.stop()
    try:
        yield
    finally:
        looped.carrier.start()


@contextmanager
def without_service(looped: Loop) -> Iterator[None]:
    looped.node.service.stop()
    try:
        yield
    finally:
        looped.node.service.start()


def does(what: str) -> Callable[[Loop], AbstractContextManager[None]]:
    return lambda looped: looped.carrier_does(what)


@dataclass(frozen=True)
class Broken:
    what: str
    broken: Callable[[Loop], AbstractContextManager[None]]
    verdict: str
    """Pattern of the verdict."""
    fault: str
    detail: str
    """Pattern of the detail."""


BROKEN = [
    # This failure is fast, so `make test` runs only this one.
    Broken("PBX between them that passes silence", does("silences"), "absent", "silence", ""),
    Broken("trunk that does not answer", does("rings"), "absent", "not-connected", "NOANSWER.*"),
    Broken("trunk that is busy", does("busy"), "absent", "not-connected", "BUSY, 17 .*"),
    Broken("trunk that is not there", without_carrier, "absent", "not-connected", "(NOANSWER|UNAVAILABLE|FAILED).*"),
    Broken("trunk that leads elsewhere", does("announces"), "absent", "not-answered-here", ""),
    Broken("PBX between them that passes no media", does("mutes"), "absent", "silence", ""),
    # The verdict is on the level of a sound that arrives. On a busy machine, a packet is lost now and then, and the
    # sound arrives incomplete.
    Broken("PBX between them that is too quiet", does("quietens"), "conforms|present", "level", "-42.*"),
    Broken("codec", without_codec, "absent", "not-connected", "FAILED.*"),
    Broken("sound file", with_another_sounds_content, "absent", "sound", ".+"),
    Broken("licence", with_an_expired_licence, "absent", "other-sound", "NOTICE, licence-expired"),
    Broken("clock", with_a_wrong_clock, "absent", "other-sound", "NOTICE, registry-stale"),
]


@rest_at_night("case", BROKEN)
def test_what_is_broken_raises_the_alert_by_the_next_call(looped: Loop, case: Broken) -> None:
    """The metric `idtone_canary_good` becomes 0 at once.

    This is the condition of the alert (tests/test_monitoring.py).
    """
    with case.broken(looped):
        code, report = looped.node.canary()
        print(looped.carrier.complaints(), report)
        assert (code, report["good"], report["fault"]) == (1, False, case.fault), report
        assert re.fullmatch(case.verdict, report["verdict"]), report
        assert re.fullmatch(case.detail, report["detail"]), report
        assert looped.node.metric("idtone_canary_good") == 0


@pytest.mark.nightly
def test_without_the_service_there_is_no_record_until_it_is_back(looped: Loop) -> None:
    """The hook uses its fallback. The service later finds the call only in the journal, but marks its record."""
    with without_service(looped):
        code, report = looped.node.canary()
        assert (code, report["verdict"], report["fault"]) == (1, "absent", "no-record"), report
    (record,) = [each for each in looped.node.service.records().values() if each["reason"] == "service-unavailable"]
    assert (record["canary"], record["fallback"], record["outcome"]) == (True, True, "NOTICE")


@rest_at_night("number", ["FORWARDING", "CALLED"])
def test_a_suspended_number_is_not_called(looped: Loop, number: str) -> None:
    before = looped.reached_carrier(), len(looped.node.service.records())
    code, report = looped.node.canary(**{f"IDTONE_CANARY_{number}_NUMBER": SUSPENDED})
    assert (code, report["verdict"], report["fault"]) == (1, "cannot-tell", "number-suspended"), report
    assert (looped.reached_carrier(), len(looped.node.service.records())) == before


@pytest.mark.nightly
def test_the_timer_calls_only_when_a_call_is_due(looped: Loop) -> None:
    """The timer prints a result only after such a call.

    A result from the future, from before the clock was set back, does not count.
    """
    _, before = looped.node.canary()
    assert looped.node.canary("--due") == (0, {})
    result = looped.node.service.settings.with_name("ledger") / "canary.json"
    result.write_text(result.read_text().replace('"at": "20', '"at": "21'))
    code, report = looped.node.canary("--due")
    assert_good(looped, code, report)
    assert report["call_id"] != before["call_id"]


@pytest.mark.breadth
def test_without_a_ledger_no_earlier_call_counts(looped: Loop) -> None:
    code, report = looped.node.canary(IDTONE_LEDGER_URL="sqlite:////nonexistent/ledger.sqlite3")
    assert (code, report["verdict"], report["fault"]) == (1, "cannot-tell", "not-placed"), report


@pytest.mark.nightly
def test_all_is_well_again(looped: Loop) -> None:
    assert_good(looped, *looped.node.canary())
