"""Reading lines of the journal with any content."""

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.call_control.journal_lines import (
    EARLIEST,
    LATEST,
    LONGEST_LINE,
    Decided,
    Ended,
    Line,
    Sounded,
    fits_call_id,
    read,
    split,
    without_digits,
)
from idtone.core.calls import Direction, Outcome, Party, Reason
from idtone.core.errors import JournalError
from idtone.core.numbers import NumberKind, parse
from idtone.dialplan import Played
from idtone.ledger.evidence.steps import CallStatus
from lab.call_control.hook_lines import decision_line, encode_text, end_line, report_line, sound_line, undecided_line
from lab.call_control.memory_evidence import CALLED, CALLER, LICENSED, NONCE, NOW, id_of

AT = NOW + timedelta(microseconds=1)
CALL = id_of()


def replaced(line: str, field: int, value: str) -> str:
    fields = line.split(",")
    fields[field] = value
    return ",".join(fields)


def decision(**fields: object) -> Decided:
    """A decision, read from its line."""
    found = read(decision_line(**fields))
    assert isinstance(found, Decided)
    return found


def test_the_hook_decided():
    line = decision(call_id=CALL, at=AT, direction="outgoing", dial_string="PJSIP/101@trunk")
    assert (line.call_id, line.nonce, line.at) == (CALL, NONCE, AT)
    assert (line.outcome, line.reason, line.parties) == (
        Outcome.NOTICE,
        Reason.SERVICE_UNAVAILABLE,
        frozenset({Party.CALLED}),
    )
    call = line.call
    assert (call.direction, call.forwarding_number) == (Direction.OUTGOING, parse(LICENSED))
    assert (call.caller, call.called, call.dialled) == (parse(CALLER), parse(CALLED), CALLED)
    assert call.forwarding_numbers == (parse(LICENSED),)
    assert decision(sip_call_id="a,b@03 1").call.sip_call_id == "a,b@03 1"
    line = decision(channel="PJSIP/6001-0000002a", account="A,1")
    assert (line.call.endpoint, line.call.account) == ("6001", "A,1")


def test_the_decisions_and_reasons_of_the_hook_and_who_hears_something():
    """The hook never decides to play the licensed sound, and a party hears something only with a notice."""
    reasons = {
        "NOTICE": {"service-unavailable", "call-id-unreadable"},
        "REFUSE": {
            "service-unavailable",
            "call-id-unreadable",
            "suspensions-unknown",
            "presented-number-differs",
            "number-suspended",
            "number-unknown",
            "number-never-originates",
            "number-malformed",
            "number-of-another-customer",
            "line-unknown",
            "lines-missing",
        },
        "BYPASS": {"emergency"},
        "SHED": {"overload"},
        "": {""},
    }
    parties = {"called": {Party.CALLED}, "caller": {Party.CALLER}, "both": set(Party), "none": set(), "": set()}
    for outcome in (*reasons, "PLAY", "notice"):
        for reason in ("", *Reason):
            for hears, who in parties.items():
                fields = {"outcome": outcome, "reason": reason, "hears": hears}
                if reason in reasons.get(outcome, ()) and (outcome == "NOTICE" or not who):
                    found = decision(**fields)
                    assert (found.outcome or "", found.reason or "", found.parties) == (outcome, reason, who)
                else:
                    with pytest.raises(JournalError):
                        pytest.fail(f"{fields} was read as {decision(**fields)}")


def test_the_numbers_and_the_direction_of_a_decision():
    """The called number comes from the dial string if it is missing."""
    for called, dial_string, number in (
        ("", f"PJSIP/{CALLED}@trunk", CALLED),
        (CALLED, "PJSIP/101@trunk", CALLED),
        ("110", f"PJSIP/{CALLED}@trunk", "110"),
        ("", f"Local/{CALLED}@out/n&PJSIP/101", CALLED),
    ):
        assert decision(called=called, dial_string=dial_string).call.called == parse(number)
    call = decision(number=f"{LICENSED}x").call
    assert call.forwarding_number.kind is NumberKind.MALFORMED
    assert parse(LICENSED) in call.forwarding_numbers
    for direction in ("", "incoming", "Outgoing", "sideways", "out going"):
        assert decision(direction=direction).call.direction is Direction.INCOMING, direction
    found = read(f"decided,{CALL},{NONCE},{AT.timestamp():.6f},,,,,,,,,,,")
    assert found.call.forwarding_number.kind is found.call.called.kind is NumberKind.WITHHELD


PLAYED = [
    ({"sent": 22}, (Played.DIAL, {Party.CALLED: "sample"}, 22, None, "")),
    (
        {"caller": "notice", "sent": 0, "since": NOW, "status": "moved"},
        (Played.DIAL, {Party.CALLED: "sample", Party.CALLER: "notice"}, 0, NOW, "moved"),
    ),
    ({"sent": 999_999_999}, (Played.DIAL, {Party.CALLED: "sample"}, 999_999_999, None, "")),
    ({"called": "", "caller": "notice", "since": NOW}, (Played.DIAL, {Party.CALLER: "notice"}, None, NOW, "")),
    *(
        (
            {"played": played, "called": "notice", "sent": 28, "since": NOW, "status": "SUCCESS"},
            (Played(played), {Party.CALLED: "notice"}, 28, NOW, "SUCCESS"),
        )
        for played in ("again", "own", "notice", "tones")
    ),
]


@pytest.mark.parametrize(("fields", "expected"), PLAYED)
def test_the_hook_played_something(fields, expected):
    found = read(sound_line(CALL, at=AT, **fields))
    assert found == Sounded(CALL, NONCE, AT, *expected)
    assert found.elapsed_ms == (pytest.approx(0.001) if "since" in fields else None)


@pytest.mark.parametrize(
    ("codecs", "expected"),
    [
        ("", {}),
        ("(ulaw)", {Party.CALLED: "ulaw"}),
        ("ulaw", {Party.CALLED: "ulaw"}),
        ("(slin16)/(g722)", {Party.CALLED: "slin16", Party.CALLER: "g722"}),
        ("(ulaw|alaw)/(alaw)", {Party.CALLER: "alaw"}),
        ("/", {}),
    ],
)
def test_the_codecs_of_the_channels(codecs, expected):
    assert read(sound_line(CALL, sent=22, codecs=codecs)).codecs == expected


ENDS = [
    *(
        ({"talked_ms": text}, (CallStatus.CONNECTED, 16, Reason.LICENCE_VALID, True, talked_ms))
        for text, talked_ms in (("4000", 4000), ("0", 0), ("99999999999", 99_999_999_999), ("", None))
    ),
    ({"status": "BUSY", "cause": 17, "reason": "", "talked_ms": 4000}, (CallStatus.BUSY, 17, None, False, None)),
    *(
        (
            {"status": status, "cause": cause, "reason": "overload", "talked_ms": ""},
            (CallStatus(status), None, Reason.OVERLOAD, status == "CONNECTED", None),
        )
        for status in CallStatus
        for cause in ("", 0, 128, "x", -1)
    ),
    *(
        (
            {"status": status, "dial_status": dial, "talked_ms": ""},
            (status, 16, Reason.LICENCE_VALID, answered, None),
        )
        for status in CallStatus
        for dial, answered in (("ANSWER", True), ("CANCEL", False), ("", False), ("x", False))
    ),
    *(
        ({"talked_ms": talked}, (CallStatus.CONNECTED, 16, Reason.LICENCE_VALID, True, None))
        for talked in ("-1", "x", "1.5", "123456789012")
    ),
]


def test_the_call_is_over():
    for fields, expected in ENDS:
        assert read(end_line(CALL, at=AT, **fields)) == Ended(CALL, NONCE, AT, *expected), fields


DECIDED, SOUNDED, REPORTED, ENDED = decision_line(CALL), sound_line(CALL, sent=22), report_line(CALL), end_line(CALL)
LINES = (DECIDED, SOUNDED, REPORTED, ENDED)


REFUSED = [
    "", "x", ",", "decided", *(",".join([word] + [""] * more) for word in ("decided", "x") for more in (7, 9, 11)),
    *(cut for line in LINES for cut in (line[:-40], f"{line},", f",{line}", line + line, f"{line},{line}")),
    *(
        replaced(line, field, value)
        for line in LINES
        for field, values in {
            0: ("", "Decided", "call", " decided"),
            1: ("", LICENSED, f"{'1' * 451}-1", "1793491200.1-", "1793491200.1-1234567890", "17 9-1", "x-１"),
            2: ("", NONCE[1:], f"{NONCE}0", "12345678901x", "１２３４５６７８９０１２"),
            3: ("", "now", "1793491200", "1793491200.00000", "1793491200.0000000", "179349120.000000",
                "17934912000.000000", "-793491200.000000", "１７９３４９１２００.000000", "1793491200,000000"),
        }.items()
        for value in values
    ),
    *(replaced(DECIDED, 5, value) for value in ("a b", "\0", "\x7f", "�", "é", "\t")),
    *(replaced(DECIDED, 11, value) for value in ("PLAY", "SKIP", "notice")),
    *(replaced(DECIDED, 13, value) for value in ("everybody", "CALLED", "called,caller", "calledcaller")),
    *(replaced(SOUNDED, 4, value) for value in ("", "DIAL", "playback")),
    *(replaced(SOUNDED, 5, value) for value in ("", "a/b", "..%2fx", "a b", "ü")),
    *(replaced(SOUNDED, 6, value) for value in ("a/b", "a:b", "ü")),
    *(replaced(SOUNDED, 7, value) for value in ("-1", "2.2", "x", "+22", "1234567890", "²²", "２２")),
    *(replaced(SOUNDED, 8, value) for value in ("0", "now", "1793491200")),
    *(replaced(SOUNDED, 10, value) for value in ("20", "00", "005", "01000", "020x", "x020", "２０")),
    *(replaced(REPORTED, 5, value) for value in ("", "Same", "moved,same", "other")),
    *(replaced(ENDED, 4, value) for value in ("", "WELL", "connected")),
    *(replaced(ENDED, 6, value) for value in ("x", "LICENCE-VALID", "licence")),
    *(sound_line(CALL, sent=22, codecs=codecs) for codecs in ("ulaw/alaw/gsm", "a,b", "(ü)", "ul aw", "0%20")),
    *(sound_line(played=played, since=since, caller=caller)
      for played in ("again", "own", "notice", "tones")
      for since, caller in ((None, ""), (NOW, "sample"))),
]  # fmt: skip


def test_any_other_line_is_refused_and_not_quoted():
    for line in REFUSED:
        with pytest.raises(JournalError) as refused:
            pytest.fail(f"{line!r} was read as {read(line)}")
        assert not re.search("[0-9]", str(refused.value)), line


def test_the_longest_line():
    """The hook truncates external values at 100, 20, 100, 300, 100, 100 and 80 octets, and URIENCODE() triples them."""
    room = LONGEST_LINE - len(DECIDED) + len(CALLED)
    longest = decision_line(CALL, called="x" * room)
    usual = decision_line(
        "x" * 450 + "-123456789",
        outcome="REFUSE",
        hears="none",
        number="\0" * 100,
        direction="\0" * 20,
        called="\0" * 100,
        dial_string="\0" * 300,
        caller="\0" * 100,
        channel="\0" * 100,
        account="\0" * 80,
    )
    assert len(usual) < LONGEST_LINE * 0.75 < len(longest) == LONGEST_LINE
    assert all(isinstance(read(line), Decided) for line in (usual, longest))
    with pytest.raises(JournalError):
        read(decision_line(CALL, called="x" * (room + 1)))


PARTS = [*{part for line in (*LINES, undecided_line(CALL)) for part in line.split(",")}, *Outcome, *Reason, *CallStatus]
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


def understood(line: str) -> Line | None:
    """Data of a line, or None after an error. Asserts that the error quotes nothing from the line."""
    found, error = None, ""
    try:
        found = read(line)
    except JournalError as refused:
        error = str(refused)
    assert not re.search("[0-9]", error)
    if error:
        return None
    assert isinstance(found, Line)
    assert line.startswith(f"{type(found).__name__.lower()},{found.call_id},{found.nonce},")
    return found


@settings(max_examples=50)
@given(st.sampled_from(LINES), st.integers(0, 12), texts | st.sampled_from(PARTS))
def test_a_line_with_any_field_and_any_text_from_outside(line, field, text):
    understood(replaced(line, min(field, line.count(",")), text))
    for outside in range(4, 9):
        assert understood(replaced(DECIDED, outside, encode_text(text)))
    parts = split(text)
    assert parts is None or "".join(parts) == text, "splitting garbage loses nothing"
    kept = without_digits(text)
    assert len(kept) == len(text)
    assert re.fullmatch("[0 -/:-~]*", kept), "a kept line is one line of plain characters without a number"


@settings(max_examples=50)
@given(st.sampled_from(LINES), st.integers(1, 200), st.sampled_from(LINES))
def test_a_line_that_was_cut_off_and_the_next_one_are_split(first, end, second):
    cut = first[: min(end, len(first))]
    assert understood(cut + second) is None
    assert split(cut + second) == (cut, second)


def test_a_single_line_is_not_split():
    for line in ("", "x", *LINES, DECIDED[:30], encode_text(f"x{SOUNDED}")):
        assert split(line) is None, line


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("system", ["", "pbx-", "a-b.c-"])
def test_a_call_is_decided_around_the_time_when_its_channel_was_made(system):
    for after, fits in {
        -EARLIEST - SECOND: False,
        -EARLIEST: True,
        0 * SECOND: True,
        LATEST: True,
        LATEST + SECOND: False,
    }.items():
        assert fits_call_id(id_of(3, NOW, 2, system), NOW + after) is fits, after


def test_an_id_that_an_application_chose_holds_no_time():
    long_ago = "1000000000"
    for call_id in (f"{long_ago}.1-1", f"pbx-{long_ago}.123456789-123456789"):
        assert not fits_call_id(call_id, NOW), call_id
    for call_id in ("x-1", f"{long_ago[1:]}.1-1", f"{long_ago}-1", f"x{long_ago}.1-1", f"{long_ago}.1-1x", "a%2Cb-1"):
        assert fits_call_id(call_id, NOW), call_id


def test_no_digit_is_kept_but_the_words_of_the_hook():
    assert without_digits(f"decided,1793491200.21-1,{LICENSED},０3\x85\n") == "decided,0000000000.00-0,0000000000,?0??"
    assert without_digits(encode_text("０３ー")) == "%EF%BC%00%EF%BC%00%E0%00%BC"
    times = "0000000000.0-0,000000000000,0000000000.000000"
    assert without_digits(end_line(CALL)) == f"ended,{times},CONNECTED,00,licence-valid,ANSWER,0000"
