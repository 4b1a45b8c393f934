"""The hook in a real Asterisk without the service: it loads, and agrees with the service on numbers and verdicts."""

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from idtone.call_control.fallback_conf import render
from idtone.call_control.fallback_keeper import write_durably
from idtone.call_control.journal_lines import Decided, Ended, Line, Sounded, read
from idtone.call_control.journal_reader import JournalFolder
from idtone.core.calls import Outcome, Period, Reason, Suspension
from idtone.core.numbers import NumberKind, ascii_form, parse, parse_or_none
from idtone.dialplan import (
    CALLED,
    CALLED_CONTEXT,
    CALLED_PRIORITY,
    CALLER,
    EXTENSION_LIMIT,
    FORWARD_CONTEXT,
    FORWARD_PRIORITY,
    JOURNAL_FILE,
    NO_VERDICT,
    Verdict,
    channel_of,
    dialled_user,
    endpoint_of,
)
from idtone.dialplan.number_expressions import is_emergency_call
from idtone.ledger.evidence.steps import CallStatus
from idtone.registry.number_notation import read_span
from lab.asterisk import Asterisk
from lab.dialplan_steps import NOWHERE, HookCall, hook_calls, results, steps
from lab.nightly_tests import rest_at_night
from lab.spellings import EMERGENCIES, LOOKING_ALIKE, NO_NUMBERS, OF_OTHERS, OF_SUSPENDED, SUSPENDED, UNREADABLE

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
LICENSED = "0312345678"
FILE = render([(read_span(SUSPENDED), Suspension(SINCE))], [(read_span(LICENSED), Period())])
"""A fallback file with two own numbers of the node. One of them is suspended."""

DIAL_STRINGS = [
    ("PJSIP/0312345678@trunk", "0312345678"),
    ("PJSIP/trunk/sip:0312345678@192.0.2.1", "0312345678"),
    ("PJSIP/trunk/sips:0312345678@192.0.2.1:5061", "0312345678"),
    ("PJSIP/trunk/sip:0312345678@192.0.2.1;lab=7", "0312345678"),
    ("PJSIP/trunk/sip:192.0.2.1", "192.0.2.1"),
    ("SIP/trunk/0312345678", "0312345678"),
    ("Local/110@ctx/n", "110"),
    ("Local/110/n", "110"),
    ("Local/0312345678/n", "0312345678"),
    ("local/0312345678@ctx/nj", "0312345678"),
    ("IAX2/member@carrier/110", "110"),
    ("PJSIP/119@trunk", "119"),
    ("PJSIP/trunk/sip:118@192.0.2.1", "118"),
    ("PJSIP/trunk/sip:+81110@192.0.2.1;user=phone", "+81110"),
    ("PJSIP/trunk/sip:110;phone-context=+81@192.0.2.1", "110"),
    ("PJSIP/trunk/sip:１１０@192.0.2.1", "１１０"),
    ("PJSIP/trunk/tel:110", "tel:110"),
    ("PJSIP/1-1-0@trunk", "1-1-0"),
    ("PJSIP/(110)@trunk", "(110)"),
    ("SIP/trunk/184110", "184110"),
    ("PJSIP/186119@trunk", "186119"),
    ("PJSIP/1100@trunk", "1100"),
    ("PJSIP/0110@trunk", "0110"),
    ("PJSIP/trunk110/0312345678", "0312345678"),
    ("PJSIP/110/sip:0312345678@192.0.2.1", "0312345678"),
    ("PJSIP/0312345678@trunk&PJSIP/0612345678@trunk", "0312345678"),
    ("PJSIP/101&PJSIP/102", "101"),
    ("PJSIP/119", "119"),
    ("PJSIP/101&PJSIP/119", "101"),
    ("PJSIP/119@trunk&PJSIP/0312345678@trunk", "119"),
    ("PJSIP/119@trunk&PJSIP/trunk/sip:110@192.0.2.1", "119"),
    ("PJSIP/3012345678@trunk&Nix/110", "3012345678"),
    ("PJSIP/0312345678@trunk/sip:110@192.0.2.1", "110"),
    ("DAHDI/g0/110#", "110#"),
    ("PJSIP/trunk/<sip:110@192.0.2.1>", "<sip:110"),
    ("PJSIP/1\u200b10@trunk", "1\u200b10"),
    ("nonsense", ""),
    ("/", ""),
    ("", ""),
]
"""Each dial string, and the user that it dials; for a ring group, the first one."""

NONCE = "9" * 12
FILES: list[dict[str, str]] = [{}, {CALLED: "sample"}, {CALLER: "sample"}, {CALLED: "sample", CALLER: "notice"}]
VERDICTS = [
    Verdict(NONCE, outcome, reason, cause, answer_first, files, 9999).extension
    for outcome, reason, cause, answer_first, files in itertools.product(
        Outcome, Reason, (None, 127), (True, False), FILES
    )
]


def as_long_as(length: int) -> str:
    """A verdict of `length` characters."""
    bare = Verdict(NONCE, Outcome.PLAY, Reason.LICENCE_VALID, None, False, {CALLED: ""}, 50).extension
    return Verdict(
        NONCE, Outcome.PLAY, Reason.LICENCE_VALID, None, False, {CALLED: "x" * (length - len(bare))}, 50
    ).extension


CALLER_TEXTS = {
    b"": "", b"Taro Sato": "Taro%20Sato", "佐藤".encode(): quote("佐藤"), "é€😀".encode(): quote("é€😀"),
    b"Taro\xff": "Taro", b"\xed\xa0\x80": "", b"\xc0\xafx": "x", b"\xf4\x90\x80\x80x": "x", b"a\tb\x7f": "ab",
    b"a\xe6\x97": "a", b"x" * 80: "x" * 80, b"x" * 81: "x" * 80, "太".encode() * 27: "",
}  # fmt: skip
"""A caller's text, and its form in Asterisk's description of the channel, in URI encoding."""
CALLER_PLACES = (
    ("CALLERID(name)", "CALLERID(name)"),
    ("CALLERID(num)", "CALLERID(num)"),
    ("CONNECTEDLINE(name)", "CONNECTEDLINE(name,i)"),
    ("CONNECTEDLINE(num)", "CONNECTEDLINE(num,i)"),
    ("REDIRECTING(from-num)", "REDIRECTING(from-num,i)"),
    ("CALLERID(dnid)", "CALLERID(dnid)"),
)
"""Expressions with which the dialplan reads and writes the caller's texts."""
NUMBERS = (*OF_SUSPENDED, *UNREADABLE, *OF_OTHERS, *NO_NUMBERS)
SOME = tuple(number for kind in (OF_SUSPENDED, UNREADABLE, OF_OTHERS, NO_NUMBERS) for number in tuple(kind)[::11])
"""Some numbers of each kind, for what the hook does after it has read a number."""
FORMS = {"numbers": NUMBERS, "some": SOME}
BY_NIGHT = pytest.mark.nightly
CALLED_NUMBERS = (*EMERGENCIES, *LOOKING_ALIKE)
RTP_CONF = {
    "[general]\nrtpstart=10000\n; strictrtp=no\n;strictrtp=no\n": "yes",
    "[general]\n  strictrtp = yes\n": "yes",
    "[general]\nstrictrtp=no\n": "",
    '[general]\r\n\tstrictrtp => no ; "because"\r\n': "",
    "[general]\nstrictrtp = seqno\n": "",
    "[general]\nprobation = 1\n": "",
    "[General]\nProbation = 1\n": "",
    "[GENERAL]\nStrictRTP=No\n": "",
    "[general]\nstrictrtp = yesterday\n": "",
    "[general]\n" + "; what an example file says\n" * 300 + "strictrtp = no\n": "",
    "[general]\n#include rtp-of-others.conf\n": "",
    "[general]\nstrictrtp = On\n#include rtp-of-others.conf\n": "yes",
}
"""Settings of rtp.conf. The value tells if Asterisk then accepts the fifth packet from an unannounced address, and none
before it.
"""
FIFO = "blocked"
REFUSAL = f"v:{NONCE}:REFUSE:number-suspended:21::::"
FOREIGN = 'v:" = "" | "1:NOTICE:number-unknown:::notice::22'
VERDICT_CALLS = [
    *((REFUSAL, direction) for direction in ("", "outgoing", '"', 'x" = "" | "1', 'x" = "" | "outgoing')),
    *((FOREIGN, direction) for direction in ("", "outgoing", 'x" = "" | "1')),
]
"""Extensions at which a channel returns from the service or from elsewhere, each with the hook's direction."""
RENAMED = {
    "renamed-own": ("idtone-hangup-called,s,1", ["sounded", "ended"]),
    "renamed-first": (f"idtone-reported,s,1(1.2-1,{NONCE},PJSIP/lab-00000001)", ["sounded"]),
}
"""Hangup handlers of a called party's channel that a transfer has renamed, and the lines that they write."""


def renamed(context: str) -> str:
    """A dialplan whose channel hangs up before the hook has written a line. Meanwhile a transfer has renamed the
    channel.
    """
    call_id = f"1.{list(RENAMED).index(context) + 1}-1"
    return steps(
        context,
        [
            f"MSet(IDTONE_CALL_ID={call_id},IDTONE_NONCE={NONCE},IDTONE_STATUS=CONNECTED,IDTONE_SELF=PJSIP/lab-00000001)",
            f"Set(IDTONE_LINE=sounded,{call_id},{NONCE},1795564585.100000,own,sample,,22,1795564584.600000,SUCCESS,020,(ulaw))",
            f'MSet(IDTONE_TARGET=192.0.2.1:4000,"CHANNEL(hangup_handler_push)={RENAMED[context][0]}")',
        ],
    )


EXTENSIONS = "\n".join(
    [
        "#include idtone.conf",
        hook_calls("numbers", [HookCall(number) for number in NUMBERS]),
        hook_calls("some", [HookCall(number) for number in SOME]),
        hook_calls("called", [HookCall(SUSPENDED, called) for called in CALLED_NUMBERS]),
        hook_calls(
            "dialled", [HookCall(LICENSED, dial_string=dial_string or NOWHERE) for dial_string, _ in DIAL_STRINGS]
        ),
        steps(
            "emergency",
            [
                "Set(journal=${GLOBAL(IDTONE_JOURNAL)})",
                f"Set(GLOBAL(IDTONE_JOURNAL)=${{IDTONE_SOUNDS}}/{FIFO})",
                f"Gosub(idtone-forward,s,1(Local/110@nowhere,{SUSPENDED}))",
                "Set(DB(emergency/0)=${IDTONE_REASON} ${IDTONE_STATUS})",
                f"Gosub(idtone-forward,s,1(Local/118@nowhere,{SUSPENDED}))",
                "Set(DB(emergency/1)=${IDTONE_REASON} ${IDTONE_STATUS})",
            ],
        ),
        steps(
            "texts",
            [
                action
                for index, (text, (read, write)) in enumerate(itertools.product(CALLER_TEXTS, CALLER_PLACES))
                for action in (
                    f"Set({write}=${{URIDECODE({quote(text, safe='')})}})",
                    "Gosub(idtone-clean,s,1)",
                    f"Set(DB(texts/{index})={len(text)}:${{URIENCODE(${{{read}}})}})",
                )
            ],
        ),
        steps(
            "strict",
            [
                "Gosub(idtone-strict,s,1(${ASTETCDIR}/rtp.conf))",
                "Set(DB(strict/0)=${ASTETCDIR} ${GOSUB_RETVAL})",
                *(
                    action
                    for index in range(1, len(RTP_CONF) + 2)
                    for action in (
                        f"Gosub(idtone-strict,s,1(${{IDTONE_SOUNDS}}/rtp-{index}.conf))",
                        f"Set(DB(strict/{index})=-${{GOSUB_RETVAL}})",
                    )
                ),
            ],
        ),
        steps(
            "overload",
            [
                "Set(waiting=${GLOBAL(IDTONE_WAITING)})",
                "MSet(GLOBAL(IDTONE_WAITING)=0,GLOBAL(IDTONE_OVERLOAD)=shed,GLOBAL(IDTONE_MOVED)="
                '${STRFTIME(,"${ENV(TZ)}",%s%1q)})',
                f"Gosub(idtone-forward,s,1({NOWHERE},{LICENSED}))",
                "Set(DB(overload/0)=${IDTONE_STATUS} ${IDTONE_REASON} ${IDTONE_OPEN})",
                "MSet(IDTONE_OPEN=yes,IDTONE_REASON=licence-valid,IDTONE_VIA=verdict,DIALSTATUS=ANSWER)",
                f"Gosub(idtone-forward,s,1({NOWHERE},{LICENSED}))",
                "Set(DB(overload/1)=${IDTONE_STATUS} ${IDTONE_REASON} ${IDTONE_OPEN})",
                "Set(DB(overload/2)=${IDTONE_CALL_ID})",
                "Set(GLOBAL(IDTONE_WAITING)=${waiting})",
            ],
        ),
        steps(
            "verdicts",
            [
                f"Set(DB(verdicts/{index})=${{DIALPLAN_EXISTS({context},{extension},{priority})}})"
                for index, (extension, (context, priority)) in enumerate(
                    itertools.product(
                        (*VERDICTS, NO_VERDICT),
                        ((FORWARD_CONTEXT, FORWARD_PRIORITY), (CALLED_CONTEXT, CALLED_PRIORITY)),
                    )
                )
            ],
        ),
        steps(
            "returns",
            [
                action
                for index, (extension, direction) in enumerate(VERDICT_CALLS)
                for action in (
                    f"MSet(IDTONE_NONCE={NONCE},IDTONE_CALL_ID=9.{index}-1,IDTONE_OPEN=yes,IDTONE_DEADLINE=0,IDTONE_REASON=)",
                    f"Gosub(idtone-forward,${{URIDECODE({quote(extension, safe='')})}},"
                    f"1({NOWHERE},{LICENSED},${{URIDECODE({quote(direction, safe='')})}}))",
                    f"Set(DB(returns/{index})=${{IDTONE_STATUS}} ${{IDTONE_REASON}} ${{IDTONE_VIA}})",
                )
            ],
        ),
        *map(renamed, RENAMED),
        steps("longest", [f"Gosub(arrived,{as_long_as(EXTENSION_LIMIT + more)},1({more}))" for more in (0, 1)]),
        "[arrived]\nexten = _v:.,1,Set(DB(longest/${ARG1})=${EXTEN})\n same = n,Return()\n",
    ]
)


@dataclass
class Hooked:
    """An Asterisk with the hook, a list of suspensions, and no service."""

    asterisk: Asterisk
    complaints: list[str]
    found: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def results(self, context: str, interface: str = "ari") -> list[str]:
        """The hook's results for each step of a context; each step runs once."""
        if (context, interface) not in self.found:
            self.asterisk.command(f"dialplan set global IDTONE_INTERFACE {interface}")
            self.found[context, interface] = results(self.asterisk, context)
        return self.found[context, interface]

    @property
    def journal(self) -> list[str]:
        return (self.asterisk.sounds / "journal" / JOURNAL_FILE).read_text().splitlines()


@pytest.fixture(scope="module")
def hooked(installation, tmp_path_factory) -> Iterator[Hooked]:
    with Asterisk(installation, tmp_path_factory.mktemp("hooked"), {"extensions.conf": EXTENSIONS}) as asterisk:
        complaints = asterisk.complaints()
        JournalFolder(asterisk.sounds / "journal", asterisk.sounds).make()
        write_durably(asterisk.sounds, FILE)
        yield Hooked(asterisk, complaints)


def test_the_hook_loads_without_warnings(hooked):
    assert hooked.asterisk.log(), "the log must not be empty"
    assert not [line for line in hooked.complaints if "pbx" in line or ".conf" in line or "idtone" in line]
    shown = hooked.asterisk.command(f"dialplan show {FORWARD_CONTEXT}")
    for extension in ("s", "_v:.", "verdict", "overload", "DIAL-ANSWER", "DIAL-BUSY", "DIAL-NOANSWER", "h", "i", "T"):
        assert f"'{extension}' =>" in shown
    assert f"Context '{CALLED_CONTEXT}'" in hooked.asterisk.command(f"dialplan show {CALLED_CONTEXT}")


def test_it_knows_whether_asterisk_is_strict_about_rtp(hooked):
    """Asterisk is strict by default; the lab's rtp.conf makes it accept other addresses."""
    for index, text in enumerate(RTP_CONF, start=1):
        (hooked.asterisk.sounds / f"rtp-{index}.conf").write_text(text)
    (hooked.asterisk.etc / "rtp-of-others.conf").write_text("strictrtp = no\n")
    here, *found = hooked.results("strict")
    assert here.split() == [str(hooked.asterisk.etc)]
    assert found == [f"-{strict}" for strict in (*RTP_CONF.values(), "yes")]


REFUSED = "REFUSED number-suspended fallback"
UNREAD = "REFUSED number-malformed fallback"
NOT_OWN = "REFUSED number-unknown fallback"
NOT_REFUSED = "UNAVAILABLE service-unavailable fallback"
PASSED = "UNAVAILABLE emergency emergency"


@pytest.mark.parametrize(
    ("interface", "context"), [("ari", "numbers"), ("agi", "some"), pytest.param("agi", "numbers", marks=BY_NIGHT)]
)
def test_every_spelling_of_a_suspended_number_is_refused_without_the_service(hooked, interface, context):
    """The hook reads a number before it checks the interface. So a few spellings are enough for the second
    interface.
    """
    expected = (
        dict.fromkeys(OF_SUSPENDED, REFUSED)
        | dict.fromkeys((*UNREADABLE, *NO_NUMBERS), UNREAD)
        | {number: NOT_REFUSED if parse(number) == parse(LICENSED) else NOT_OWN for number in OF_OTHERS}
    )
    found = dict(zip(FORMS[context], hooked.results(context, interface), strict=True))
    assert {number: result for number, result in found.items() if result != expected[number]} == {}


@rest_at_night("context", ["some", "numbers"])
def test_with_unreadable_notice_the_digits_alone_are_still_refused_if_they_are_suspended(hooked, context):
    hooked.asterisk.command("dialplan set global IDTONE_UNREADABLE notice")
    try:
        found = dict(zip(FORMS[context], results(hooked.asterisk, context), strict=True))
    finally:
        hooked.asterisk.command("dialplan set global IDTONE_UNREADABLE refuse")
    suspended = parse(SUSPENDED)
    expected = {}
    for number in found:
        read = {parse(number), parse_or_none(number)}
        readable = any(each and each.known and each.kind is not NumberKind.EMERGENCY for each in read)
        own = parse(LICENSED) in read or not readable
        expected[number] = REFUSED if suspended in read else NOT_REFUSED if own else NOT_OWN
    assert {number: result for number, result in found.items() if result != expected[number]} == {}
    assert {expected[number] for number in UNREADABLE if number in found} >= {REFUSED, NOT_REFUSED}


OWN_SPAN = (read_span(SUSPENDED), Period())
THEN = datetime(2026, 10, 31, tzinfo=UTC)
LATER = datetime(2120, 1, 1, tzinfo=UTC)


@rest_at_night("context", ["some", "numbers"])
@pytest.mark.parametrize(
    ("own", "of_own", "of_others"),
    [
        ([OWN_SPAN], NOT_REFUSED, NOT_OWN),
        ([(read_span("031234567*"), Period())], NOT_REFUSED, NOT_OWN),
        ([(read_span("0312345600-0312345677"), Period(THEN, LATER))], NOT_REFUSED, NOT_OWN),
        ([(read_span("0312345677"), Period(LATER))], NOT_OWN, NOT_OWN),
        ([(read_span("0312345677"), Period(until=THEN))], NOT_OWN, NOT_OWN),
        ([(read_span("0312345676"), Period())], NOT_OWN, NOT_OWN),
        ([], NOT_OWN, NOT_OWN),
        (None, NOT_REFUSED, NOT_REFUSED),
    ],
    ids=["own", "by a pattern", "ported to it", "ported to it later", "ported away", "a neighbour", "none", "any"],
)
def test_every_spelling_of_a_number_that_is_not_the_node_s_own_is_refused(hooked, context, own, of_own, of_others):
    """The result is the same for both directions. For each list, the hook reads the number as in the test above."""
    write_durably(hooked.asterisk.sounds, render([], own))
    try:
        found = dict(zip(FORMS[context], results(hooked.asterisk, context), strict=True))
    finally:
        write_durably(hooked.asterisk.sounds, FILE)
    others = [number for number in OF_OTHERS if parse(number) != parse(LICENSED) and number in found]
    suspended = [number for number in OF_SUSPENDED if number in found]
    assert suspended
    assert others
    expected = dict.fromkeys(suspended, of_own) | dict.fromkeys(others, of_others)
    assert {number: found[number] for number in expected if found[number] != expected[number]} == {}


def test_a_fallback_file_without_the_own_numbers_refuses_every_call(hooked):
    """An older version wrote such a file. An incomplete file lacks the node's own numbers too."""
    whole = render([], [OWN_SPAN])
    for text, expected in (
        (whole.partition("[own]")[0] + whole[whole.index("[end]") :], "REFUSED number-unknown fallback"),
        (whole.replace("complete = yes\n", ""), "REFUSED suspensions-unknown fallback"),
    ):
        write_durably(hooked.asterisk.sounds, text)
        try:
            found = dict(zip(SOME, results(hooked.asterisk, "some"), strict=True))
        finally:
            write_durably(hooked.asterisk.sounds, FILE)
        assert {found[number] for number in OF_SUSPENDED if number in found} == {expected}


def test_every_spelling_of_an_emergency_number_passes_at_once(hooked):
    found = dict(zip(CALLED_NUMBERS, hooked.results("called"), strict=True))
    assert {called: result for called, result in found.items() if result == PASSED} == dict.fromkeys(
        EMERGENCIES, PASSED
    )
    assert {found[called] for called in LOOKING_ALIKE} == {REFUSED}


def test_a_channel_is_named_after_its_endpoint():
    for channel, endpoint in (
        ("PJSIP/6001-0000002a", "6001"),
        ("PJSIP/trunk-a-cafe-0000002a", "trunk-a-cafe"),
        ("DAHDI/i1/0312345678-1", "i1/0312345678"),
        ("Local/10@from-x-0000002a;2", "10@from-x"),
        ("", ""),
    ):
        assert endpoint_of(channel) == endpoint


def test_the_hook_and_the_service_recognise_the_same_dialled_emergencies(hooked):
    found = hooked.results("dialled")
    for (dial_string, user), result in zip(DIAL_STRINGS, found, strict=True):
        assert dialled_user(dial_string) == user
        by_service = is_emergency_call(
            ascii_form(dial_string), "", (), lambda text: parse(text).kind is NumberKind.EMERGENCY
        )
        assert (result.split()[1] == "emergency") is by_service, dial_string


def test_no_spelling_is_an_error_to_asterisk(hooked):
    for context in ("numbers", "called", "dialled"):
        hooked.results(context)
    ours = ("func_", "pbx", "app_stack")
    assert not [line for line in hooked.asterisk.complaints() if any(word in line for word in ours)]


def lines_of(hooked: Hooked, channel: str, count: int) -> list[Line]:
    """The journal's lines of a channel, once there are `count` of them."""
    deadline_s = time.monotonic() + 60
    while len(found := [line for line in hooked.journal if channel_of(line.split(",")[1]) == channel]) < count:
        assert time.monotonic() < deadline_s, found
        time.sleep(0.02)
    return [read(line) for line in found]


def test_an_emergency_call_does_not_wait_for_the_disk(hooked):
    """The journal blocks all writes until the call has ended; afterwards it has all lines."""
    path = hooked.asterisk.sounds / FIFO
    os.mkfifo(path)
    path.chmod(0o666)  # Asterisk has a user of its own
    journal = hooked.asterisk.command("dialplan show globals").partition("IDTONE_JOURNAL=")[2].split()[0]
    try:
        assert hooked.results("emergency") == ["emergency UNAVAILABLE"] * 2
        written, deadline_s = "", time.monotonic() + 60
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            while written.count("\n") < 4:
                assert time.monotonic() < deadline_s, written
                written += (file.read() or b"").decode()
                time.sleep(0.02)
    finally:
        hooked.asterisk.command(f"dialplan set global IDTONE_JOURNAL {journal}")
    lines = sorted((read(line) for line in written.splitlines()), key=lambda line: line.call_id)
    for number, call in enumerate((lines[:2], lines[2:]), 1):
        (decided,) = (line for line in call if isinstance(line, Decided))
        (ended,) = (line for line in call if isinstance(line, Ended))
        assert decided.call_id == ended.call_id
        assert decided.call_id.endswith(f"-{number}")
        assert decided.nonce == ended.nonce
        assert (decided.outcome, decided.reason) == (Outcome.BYPASS, Reason.EMERGENCY)
        assert decided.call.dialled == ("110", "118")[number - 1]
        assert (ended.status, ended.reason) == (CallStatus.UNAVAILABLE, Reason.EMERGENCY)


def test_a_rejected_call_first_reports_the_end_of_the_call_that_its_channel_left(hooked):
    first, second, call_id = hooked.results("overload")
    assert first == second == "REFUSED overload no"
    lines = lines_of(hooked, channel_of(call_id), 5)
    ends = [(line.call_id[-1], line.status, line.reason) for line in lines if isinstance(line, Ended)]
    assert sorted(ends) == [
        ("1", CallStatus.CONNECTED, Reason.LICENCE_VALID),
        ("1", CallStatus.REFUSED, Reason.OVERLOAD),
        ("2", CallStatus.REFUSED, Reason.OVERLOAD),
    ]
    decisions = [(line.call_id[-1], line.outcome) for line in lines if isinstance(line, Decided)]
    assert sorted(decisions) == [("1", Outcome.SHED), ("2", Outcome.SHED)]


@pytest.mark.parametrize("context", RENAMED)
def test_a_line_that_a_hangup_left_is_written_whatever_the_channel_is_called(hooked, context):
    hooked.results(context)
    channel, words = f"1.{list(RENAMED).index(context) + 1}", RENAMED[context][1]
    lines = lines_of(hooked, channel, len(words))
    assert [type(line).__name__.lower() for line in lines] == words
    assert isinstance(lines[0], Sounded)
    assert lines[0].sent == 22


def test_no_direction_and_no_foreign_extension_changes_a_verdict(hooked):
    """Both texts come from outside, and the hook uses them in a condition."""
    refused = "REFUSED number-suspended verdict"
    assert hooked.results("returns") == [
        refused if extension == REFUSAL else NOT_REFUSED for extension, _ in VERDICT_CALLS
    ]


def test_every_verdict_is_an_extension_of_the_hook(hooked):
    for extension in VERDICTS:
        assert len(extension) <= EXTENSION_LIMIT
        assert len(extension.split(":")) == 9, extension
        assert extension.replace("-", "").replace(":", "").isalnum()
    assert hooked.results("verdicts") == ["1"] * 2 * (len(VERDICTS) + 1)


def test_what_a_caller_wrote_is_short_and_utf_8(hooked):
    expected = [f"{len(text)}:{left}" for text, left in CALLER_TEXTS.items() for _ in CALLER_PLACES]
    assert hooked.results("texts") == expected


def test_a_longer_verdict_would_be_cut(hooked):
    assert hooked.results("longest") == [as_long_as(EXTENSION_LIMIT), as_long_as(EXTENSION_LIMIT + 1)[:-1]]


def test_the_channel_of_a_call():
    assert channel_of("1795564585.21-1") == "1795564585.21"
    assert channel_of("pbx-1-1795564585.21-12") == "pbx-1-1795564585.21"
    assert channel_of("a%2Cb%20%22c%22%28d%29%25-1") == 'a,b "c"(d)%'
