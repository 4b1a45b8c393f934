"""The lines of the journal that the service accepts. Asterisk's user and its group can write any line."""

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from idtone.call_control.call import Call
from idtone.call_control.call_control import CallControl
from idtone.call_control.journal_intake import LATE, JournalIntake
from idtone.call_control.journal_lines import EARLIEST, LATEST
from idtone.core.calls import Party
from idtone.core.decision import Policy
from idtone.core.errors import LedgerError
from idtone.core.settings.settings import Interface
from idtone.ledger.evidence.call_record import Delivery
from idtone.tones.making.sound_files import Sound
from lab.call_control import hook_lines
from lab.call_control.memory_evidence import (
    LICENSED,
    MEMBER,
    NONCE,
    NOW,
    OTHER_NONCE,
    REQUEST,
    SUSPENDED,
    MemoryEvidence,
    id_of,
    registry,
)

CALL = REQUEST.call_id
SECOND = timedelta(seconds=1)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@dataclass
class Service:
    """A service that was started at `NOW`, with a clock that moves only when a test moves it."""

    sounds: dict[str, Sound]
    evidence: MemoryEvidence = field(default_factory=MemoryEvidence)
    now: datetime = NOW
    refused: list[str] = field(default_factory=list)
    asked: list[set[str]] = field(default_factory=list)
    """Calls about which the ledger was asked."""

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.control = CallControl(
            registry,
            Policy(member=MEMBER),
            self.sounds,
            self.evidence,
            self.sounds,
            now=lambda: self.now,
            recorded=self.evidence.knows,
        )
        self.control.restore(self.evidence.calls_in_progress())
        self.entry = JournalIntake(self.control, self.times, self.refused.extend, self.evidence.restored)

    def again(self, gap_s: float = 1.0) -> None:
        """Kill the service, and restart it `gap_s` later."""
        self.now += timedelta(seconds=gap_s)
        self.start()
        self.entry.set_gap_s(gap_s)

    def times(self, call_ids: Iterable[str]) -> dict[str, dict[str, datetime]]:
        self.asked.append(set(call_ids))
        return self.evidence.times(self.asked[-1])

    async def enter(self, *lines: str) -> None:
        for written in await self.entry.enter([line.encode() for line in lines]):
            assert written.done()

    def kinds(self, call_id: str = CALL) -> list[str]:
        return self.evidence.kinds(call_id)


@pytest.fixture
def service(sounds: dict[str, Sound]) -> Service:
    return Service(sounds)


ANSWERED = after(3)


def heard(call_id: str = CALL, nonce: str = NONCE, at: datetime = ANSWERED, profile: str = "sample") -> tuple[str, ...]:
    sent = {"sample": 22, "notice": 28}[profile]
    reason = "licence-valid" if profile == "sample" else "service-unavailable"
    return (
        hook_lines.sound_line(call_id, nonce, at, called=profile, sent=sent),
        hook_lines.end_line(call_id, nonce, at + 5 * SECOND, reason=reason, talked_ms=5000),
    )


def fallback(call_id: str = CALL, nonce: str = NONCE, at: datetime = NOW) -> tuple[str, ...]:
    """All lines of a call that the hook decided."""
    return (hook_lines.decision_line(call_id, nonce, at), *heard(call_id, nonce, at + 3 * SECOND, "notice"))


HEARD = ["decided", "answered", "sound-started", "sound-ended", "connected", "ended"]
FALLBACK = ["fallback", *HEARD[1:]]


def decides(service: Service, call_id: str = CALL, nonce: str = NONCE) -> Call:
    """Let the service decide a call, and return the call."""
    call = service.control.decide(replace(REQUEST, call_id=call_id, nonce=nonce), Interface.ARI)
    assert call
    return call


def emergency(at: datetime = NOW, ended: datetime = NOW, talked_s: int = 4, nonce: str = NONCE) -> tuple[str, str]:
    """Lines of a call that the hook let pass."""
    return (
        hook_lines.decision_line(nonce=nonce, at=at, called="110", outcome="BYPASS", reason="emergency", hears="none"),
        hook_lines.end_line(nonce=nonce, at=ended, reason="emergency", talked_ms=1000 * talked_s),
    )


# -- lines of the hook are accepted -----------------------------------------------------------------------------------


async def test_a_call_that_the_service_decided(service):
    decides(service)
    await service.enter(*heard())
    assert service.kinds() == HEARD
    assert not service.refused
    assert not service.asked


@pytest.mark.parametrize(
    ("now_s", "gap_s", "at_s"),
    [(9, 1, [1]), (3600, 3600, [10, 1010, 2010]), (6 * 86_400, NOW.timestamp() + 6 * 86_400, [60])],
    ids=["now", "while the service was down", "before it read a journal for the first time"],
)
async def test_a_call_that_the_hook_decided(service, now_s, gap_s, at_s):
    service.now = after(now_s)
    service.start()
    service.entry.set_gap_s(gap_s)
    for number, at in enumerate(at_s):
        await service.enter(*fallback(id_of(number, after(at)), at=after(at)))
        assert service.kinds(id_of(number, after(at))) == FALLBACK
    assert not service.refused


@pytest.mark.parametrize("talked_s", [0, 31, 1800, 6 * 86_400])
async def test_an_emergency_call_whose_lines_come_when_it_has_ended(service, talked_s):
    """The line has the time of the request, which may be long before the end of the call."""
    service.now = after(talked_s + 5)
    await service.enter(*emergency(after(1), service.now, talked_s))
    assert service.kinds() == ["fallback", "connected", "ended"]
    record = service.evidence.record(CALL)
    assert (record.outcome, record.complete, record.anomalies) == ("BYPASS", True, ())
    assert record.steps[0].at == after(1)
    assert not service.refused


async def test_lines_that_are_read_again_after_a_kill_are_entered_once(service):
    """Any number of steps may already be on the disk. Lines of ended calls are ignored, but not refused."""
    decides(service, id_of(2))
    service.now = after(9)
    await service.enter(*heard(id_of(2)), *fallback())
    whole = list(service.evidence.steps)
    for kept in range(len(HEARD), len(whole) + 1):
        del service.evidence.steps[kept:]
        service.again()
        await service.enter(*heard(id_of(2)), *fallback())
        assert service.evidence.steps == whole, f"{kept} steps were on the disk"
    assert not service.refused


async def test_the_ledger_is_asked_once_per_read_for_all_calls(service):
    service.now = after(60)
    service.again()
    calls = {id_of(number) for number in range(50)}
    await service.enter(*(line for call_id in calls for line in fallback(call_id)))
    assert service.asked == [calls]
    await service.enter(*heard())
    assert len(service.asked) == 2


async def test_a_line_after_one_that_was_cut_off_is_entered(service):
    """The disk was full for a moment."""
    decided, sounded, ended = fallback()
    await service.enter(decided, sounded[:70] + sounded, ended)
    assert service.kinds() == FALLBACK
    (refused,) = service.refused
    assert refused.startswith("sounded,0000000000.0-0,000000000000,0000000000.000000,dial,notice,,")


async def test_rejected_calls_are_logged_once_for_all(service, caplog):
    for number in range(20):
        await service.enter(
            hook_lines.decision_line(id_of(number), outcome="SHED", reason="overload", hears="none"),
            hook_lines.end_line(id_of(number), status="REFUSED", cause=42, reason="overload", talked_ms=""),
        )
    assert len(service.evidence.records()) == 20
    assert caplog.messages == [
        "a call was rejected: the number of calls that wait for a verdict has reached policy.waiting"
    ]


# -- the nonce --------------------------------------------------------------------------------------------------------


async def test_a_line_without_the_nonce_of_the_call_changes_nothing(service, caplog):
    """Another program tries to have a connected call recorded as refused.

    It fails, even after a restart of the service.
    """
    foreign = (
        hook_lines.end_line(nonce=OTHER_NONCE, status="REFUSED", cause=21, reason="number-suspended", talked_ms=""),
        hook_lines.decision_line(
            nonce=OTHER_NONCE, number=SUSPENDED, outcome="REFUSE", reason="number-suspended", hears="none"
        ),
        emergency(nonce=OTHER_NONCE)[0],
        hook_lines.undecided_line(nonce=OTHER_NONCE),
        *fallback(nonce=OTHER_NONCE),
        *heard(nonce=OTHER_NONCE),
    )
    call = decides(service)
    decision = call.decision
    for restarted in (False, True):
        if restarted:
            service.again()
        for line in foreign:
            await service.enter(line)
            assert service.kinds() == ["decided"], line
            assert service.control.find(CALL).decision == decision
        assert len(service.refused) == (1 + restarted) * len(foreign)
    assert "its nonce differs from that of the call's request" in caplog.text
    await service.enter(*heard())
    record = service.evidence.record(CALL)
    assert (record.outcome, record.sent, record.status, record.anomalies) == ("PLAY", True, "CONNECTED", ())


async def test_the_nonce_of_one_call_is_not_valid_for_another(service):
    for call_id, nonce in ((CALL, NONCE), (id_of(2), OTHER_NONCE)):
        decides(service, call_id, nonce)
    await service.enter(*heard(CALL, OTHER_NONCE), *heard(id_of(2), NONCE))
    assert service.kinds() == service.kinds(id_of(2)) == ["decided"]
    assert len(service.refused) == 4


# -- ended calls ------------------------------------------------------------------------------------------------------

ATTACKS = {
    "another decision": fallback(at=after(60)),
    "another decision with its nonce": fallback(nonce=OTHER_NONCE, at=after(60)),
    "an emergency": emergency(after(60), after(61)),
    "an emergency of before": emergency(after(-1), after(61)),
    "a call without a decision": (
        hook_lines.undecided_line(at=after(60)),
        hook_lines.end_line(at=after(61), status="CANCEL", reason=""),
    ),
    "a sound": (hook_lines.sound_line(at=after(60), sent=22),),
    "another end": (hook_lines.end_line(at=after(60)),),
}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("earlier", ["by the service", "by the hook", "interrupted"])
async def test_an_ended_call_is_never_decided_again(service, earlier, restarted):
    if earlier == "by the hook":
        await service.enter(*fallback())
    else:
        call = decides(service, nonce=OTHER_NONCE)
        if earlier == "interrupted":
            service.control.close_interrupted(call)
        await service.enter(*heard(nonce=OTHER_NONCE))
    before = list(service.evidence.steps)
    assert service.kinds()[-1] == ("interrupted" if earlier == "interrupted" else "ended")
    service.now = after(58)
    if restarted:
        service.again()
    service.now = after(62)
    for name, attack in ATTACKS.items():
        await service.enter(*attack)
        assert service.evidence.steps == before, name
    assert not service.evidence.record(CALL).anomalies or earlier == "interrupted"


# -- forged records ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("past_s", [31, 3600, 86_400, 6 * 86_400])
async def test_no_record_can_be_forged_for_a_time_when_the_service_was_up(service, past_s):
    service.now = NOW + timedelta(seconds=past_s)
    service.entry.set_gap_s(0.5)
    for outcome, reason, hears in (("NOTICE", "service-unavailable", "called"), ("SHED", "overload", ""), ("", "", "")):
        await service.enter(hook_lines.decision_line(outcome=outcome, reason=reason, hears=hears), *fallback()[1:])
        assert service.kinds() == [], outcome
    assert len(service.refused) == 9


async def test_no_record_of_an_emergency_call_can_be_forged_for_such_a_time(service):
    """An emergency call may have begun long ago, but its line is written at its end."""
    service.now = after(3600)
    service.entry.set_gap_s(0.5)
    await service.enter(*emergency(after(1), after(60)))
    assert "ended" not in service.kinds()
    assert len(service.refused) == 1
    await service.enter(emergency(ended=after(3600))[1])
    assert service.evidence.record(CALL).times["ended"] == after(3600)


async def test_a_new_line_has_a_maximum_age(sounds):
    for at, believed in {
        -LATE - 2 * SECOND: False,
        -LATE - SECOND: True,
        timedelta(): True,
        LATE: True,
        LATE + SECOND: False,
        timedelta(days=1): False,
    }.items():
        service = Service(sounds)
        service.entry.set_gap_s(1)
        await service.enter(hook_lines.decision_line(at=NOW + at))
        assert service.kinds() == ["fallback"] * believed, at
        assert len(service.refused) == (not believed), at


async def test_a_new_line_whose_id_contradicts_its_time_is_refused(service):
    times = (EARLIEST + SECOND, -LATEST - SECOND, timedelta(days=400), timedelta(days=-400))
    for call_id in (id_of(at=NOW + made) for made in times):
        service.refused.clear()
        await service.enter(*fallback(call_id))
        assert service.kinds(call_id) == [], call_id
        assert len(service.refused) == 3


@pytest.mark.parametrize("closed", [False, True])
async def test_an_id_that_was_claimed_in_advance_gets_no_verdict_and_its_record_no_licence(service, closed):
    """A forged line can neither connect a suspended number with the licensed sound, nor have a call refused."""
    claimed = fallback(nonce=OTHER_NONCE)
    await service.enter(*claimed if closed else claimed[:1])
    assert service.control.decide(replace(REQUEST, number=SUSPENDED), Interface.ARI) is None
    await service.enter(
        hook_lines.decision_line(number=SUSPENDED, outcome="REFUSE", reason="number-suspended", hears="none"),
        hook_lines.end_line(status="REFUSED", cause=21, reason="number-suspended"),
    )
    assert service.kinds() == (FALLBACK if closed else ["fallback"])
    record = service.evidence.record(CALL)
    assert (record.outcome, record.licence, record.complete) == ("NOTICE", None, closed)
    assert len(service.refused) == 2


async def test_without_a_decision_no_line_makes_a_call_or_its_licence(service, caplog):
    await service.enter(hook_lines.decision_line(outcome="PLAY", reason="licence-valid"), *heard())
    assert service.kinds() == []
    assert "no such call is in progress" in caplog.text


# -- refused lines ----------------------------------------------------------------------------------------------------


async def test_refused_lines_are_kept_without_their_numbers(service, caplog):
    await service.entry.enter(
        [f"decided,{LICENSED},broken".encode(), b"\xff\x80" + LICENSED.encode(), b"9" * 10_000, b""]
    )
    assert service.refused == ["decided,0000000000,broken", "??0000000000", "0" * 4096, ""]
    (logged,) = caplog.messages
    assert "a journal line was refused: it is not a line of the hook" in logged
    assert not any(character.isdecimal() for character in logged)


async def test_refused_lines_are_one_line_in_the_log_for_each_reason_and_the_others_are_entered(service, caplog):
    lines = fallback()
    await service.enter(*["broken"] * 100, lines[0], *[hook_lines.end_line(id_of(7))] * 100, *lines[1:])
    assert service.kinds() == FALLBACK
    assert len(caplog.messages) == 2
    assert len(service.refused) == 200


async def test_a_refused_line_that_cannot_be_saved_does_not_stop_the_others(service, caplog):
    def keep(lines: object) -> None:
        raise OSError(28, "No space left on device")

    service.evidence.slow = True
    entry = JournalIntake(service.control, service.times, keep, service.evidence.restored)
    written = await entry.enter([line.encode() for line in ("broken", *fallback())])
    assert len(written) == service.evidence.late == len(FALLBACK)
    assert "it cannot be saved: No space left on device" in caplog.text


async def test_nothing_is_entered_while_the_ledger_cannot_be_read(service):
    """An unreadable ledger cannot show which calls have ended."""
    decides(service, id_of(2))
    works: list[bool] = []

    def times(call_ids: Iterable[str]) -> dict[str, dict[str, datetime]]:
        if not works:
            raise LedgerError("the ledger cannot be read")
        return service.evidence.times(call_ids)

    entry = JournalIntake(service.control, times, service.refused.extend, service.evidence.restored)
    lines = [line.encode() for line in (*heard(id_of(2)), "broken", *fallback())]
    for _ in range(2):
        with pytest.raises(Exception, match="the ledger cannot be read"):
            await entry.enter(lines)
        assert service.evidence.kinds() == ["decided"]
        assert not service.refused
    works.append(True)
    await entry.enter(lines)
    assert (service.kinds(id_of(2)), service.kinds(), len(service.refused)) == (HEARD, FALLBACK, 1)


async def test_no_call_waits_while_the_ledger_is_read(service):
    """A read waits while another process has locked the ledger, or while its disk is slow."""
    reads, may_end = threading.Event(), threading.Event()

    def times(call_ids: Iterable[str]) -> dict[str, dict[str, datetime]]:
        reads.set()
        assert may_end.wait(30), "the event loop waited"
        return service.evidence.times(call_ids)

    entry = JournalIntake(service.control, times, service.refused.extend, service.evidence.restored)
    entering = asyncio.create_task(entry.enter([line.encode() for line in fallback()]))
    await asyncio.to_thread(reads.wait, 30)
    decides(service, id_of(2))
    may_end.set()
    await entering
    assert (service.kinds(id_of(2)), service.kinds()) == (["decided"], FALLBACK)


# -- a report that follows the end of its call -----------------------------------------------------------------------


async def test_the_next_instance_enters_the_report_of_a_call_that_has_ended(service):
    """The next instance enters the report once, even if it reads the report again.

    It refuses a report with another nonce, or for one of its own calls.
    """
    decides(service)
    await service.enter(*heard())
    service.again(gap_s=0.05)
    late = hook_lines.report_line(at=ANSWERED + 5 * SECOND)
    await service.enter(hook_lines.report_line(nonce="999999999999"))
    await service.enter(late)
    assert service.kinds() == [*HEARD, "sound-reported"]
    assert service.evidence.record(CALL).delivery == {Party.CALLED: Delivery.CONFIRMED}
    service.again(gap_s=0.05)
    await service.enter(late, late)
    assert service.kinds() == [*HEARD, "sound-reported"]
    decides(service, id_of(2))
    await service.enter(*heard(id_of(2)))
    service.asked.clear()
    await service.enter(hook_lines.report_line(id_of(2), at=ANSWERED + 5 * SECOND))
    assert service.asked == [], "what this instance has ended it knows"
    assert service.kinds(id_of(2)) == [*HEARD, "sound-reported"]


@pytest.mark.parametrize(
    ("gap_s", "at"),
    [
        (60 * 86_400, ANSWERED + timedelta(days=50)),
        (60 * 86_400, ANSWERED - SECOND),
        (60, ANSWERED + 5 * SECOND + LATE + SECOND),
    ],
    ids=["after its end", "before its answer", "later than lines come"],
)
async def test_a_report_at_another_time_than_its_calls_confirms_nothing(service, gap_s, at):
    decides(service)
    await service.enter(*heard())
    service.again(gap_s=gap_s)
    await service.enter(hook_lines.report_line(at=at))
    assert service.kinds() == HEARD


async def test_a_report_that_was_read_before_confirms_nothing(service):
    """The service has read all lines of that time, so another program must have written this line."""
    decides(service)
    await service.enter(*heard())
    service.now = after(3600)
    service.again(gap_s=1)
    await service.enter(hook_lines.report_line(at=ANSWERED + 5 * SECOND))
    assert service.kinds() == HEARD


async def test_a_second_report_before_the_first_is_on_the_disk_is_not_entered(service):
    decides(service)
    await service.enter(*heard())
    service.again(gap_s=0.05)
    service.evidence.slow = True
    for seconds in (5, 6):
        await service.entry.enter([hook_lines.report_line(at=ANSWERED + seconds * SECOND).encode()])
    service.evidence.commit()
    assert service.kinds() == [*HEARD, "sound-reported"]


@pytest.mark.parametrize("error", [LedgerError("step 7 of the ledger cannot be read"), ValueError("x"), KeyError("x")])
async def test_a_call_that_cannot_be_restored_keeps_no_other_line_from_the_ledger(service, monkeypatch, caplog, error):
    """The record of the call is damaged, or was written by a newer version."""
    for number in (1, 2):
        decides(service, id_of(number))
        await service.enter(*heard(id_of(number)))
    decides(service, id_of(3))
    restored = MemoryEvidence.restored

    def damaged(evidence: MemoryEvidence, call_ids: Iterable[str]) -> dict[str, Call]:
        names = list(call_ids)
        if id_of(1) in names:
            raise error
        return restored(evidence, names)

    monkeypatch.setattr(MemoryEvidence, "restored", damaged)
    service.again(gap_s=0.05)
    await service.enter(
        *(hook_lines.report_line(id_of(number), at=ANSWERED + 5 * SECOND) for number in (1, 2)), *heard(id_of(3))
    )
    assert [service.kinds(id_of(number)) for number in (1, 2, 3)] == [HEARD, [*HEARD, "sound-reported"], HEARD]
    assert f"{id_of(1)} cannot be restored" in caplog.text
