"""The delivery of a sound. The tables have the same rows as the table in `call_control/sound_delivery.py`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from idtone.call_control.journal_lines import Reported, Sounded, read
from idtone.call_control.sound_delivery import KnownBy, PlayedSound, played_sound, reports_confirm
from idtone.core.calls import Party
from idtone.dialplan import packets
from idtone.ledger.evidence.call_record import SENT_BY
from lab.call_control.hook_lines import sound_line
from lab.call_control.memory_evidence import NOW

CALLED, CALLER = Party.CALLED, Party.CALLER
PACKETS, TIME, PLAYBACK, DIAL = KnownBy.PACKETS, KnownBy.TIME, KnownBy.PLAYBACK, KnownBy.DIAL

SOUND_MS = 440
NOTICE_MS = 560
HELD = "1"
"""CHANNEL(rtp,hold,audio) of a phone that holds the call."""
LEFT = "left"
"""Status after another phone took the caller's place."""
FREE = "0"
"""Status of a phone that does not hold the call. It is empty on a channel without RTP."""


def line(played: str, sent: int | str, elapsed_ms: float | None, status: str, **files: str) -> Sounded:
    """A line about the sound, written as the hook writes it and then parsed."""
    since = None if elapsed_ms is None else NOW - timedelta(milliseconds=elapsed_ms)
    found = read(sound_line(played=played, sent=sent, since=since, status=status, **files))
    assert isinstance(found, Sounded)
    return found


def test_the_words_of_the_record_do_not_change():
    """Ledgers contain these words, and searches rely on the first of them."""
    assert [*KnownBy] == [SENT_BY, "time", "playback", "dial"]
    assert SENT_BY == "packets"


DIALLED = {
    # packets sent, ms since the answer, status: known_by or part of the reason for a failed playback; ms played
    "all of it, the usual case": (22, None, "", PACKETS, 440),
    "all of it, though FILE() is blocked on this channel": (22, 455.2, FREE, PACKETS, 440),
    "nothing: its file is missing": (0, 3.1, FREE, "0 of 22 packets", 0),
    "one packet": (1, 24, FREE, "1 of 22 packets", 20),
    "a key was pressed": (9, 184, FREE, "9 of 22 packets", 180),
    "a key was pressed at the very end": (21, 428, FREE, "21 of 22 packets", 420),
    "the phone held the call during the sound": (9, 452, HELD, "9 of 22 packets", 180),
    "the phone held the call from the answer on": (0, 452, HELD, "0 of 22 packets", 0),
    "fewer packets, however long Dial() played": (21, 60_000, FREE, "21 of 22 packets", 420),
    "fewer packets, and no time": (21, None, FREE, "21 of 22 packets", 420),
    "a packet of silence more, by a wide-band codec": (23, 452, FREE, PACKETS, 440),
    "early media, two packets": (24, 452, FREE, TIME, 440),
    "early media, 15 packets": (37, 452, FREE, TIME, 440),
    "early media, and it was just long enough": (37, 420, FREE, TIME, 440),
    "early media, and a key was pressed": (37, 419, FREE, "lasted 419 ms", 440),
    "early media, and the file is missing": (22 + 15, 2, FREE, "lasted 2 ms", 440),
    "early media, and the phone held the call": (37, 452, HELD, "held the call", 440),
    "early media, and the time of the answer is unknown": (37, None, FREE, DIAL, 440),
    "early media of a call on hold, without a time": (37, None, HELD, "held the call", 440),
    "the clock was set back meanwhile": (37, -3600_000, FREE, "lasted 0 ms", 440),
    "all of it, and another phone took the caller's place": (22, 452, LEFT, PACKETS, 440),
    "all of it, and the caller is behind a Local channel": (22, 452, "0-local", PACKETS, 440),
    "the phone held the call, and the caller is behind a Local channel": (22, 452, "1-local", "held the call", 440),
    "all of it, but the phone holds the call": (22, 452, HELD, "held the call", 440),
    "all of it, but the phone may be behind NAT and began to send late": (22, 452, "late", "came late", 440),
    "early media, and as many packets as the sound has": (22, 452, "early", TIME, 440),
    "early media, and as many packets, and a key was pressed": (22, 184, "early", "lasted 184 ms", 440),
    "early media, and fewer packets": (21, 452, "early", "21 of 22 packets", 420),
    "Local: no packets are counted": ("", 448, "", TIME, 440),
    "Local: it was just long enough": ("", 420, "", TIME, 440),
    "Local: a key was pressed": ("", 200, "", "lasted 200 ms", 200),
    "Local: the time of the answer is unknown": ("", None, "", DIAL, 440),
    "Local: the clock was set back meanwhile": ("", -3600_000, "", "lasted 0 ms", 0),
    "Local: another phone took the call": ("", 448, "moved", "another phone", 440),
    "another phone took the call": (37, 452, "moved", "another phone", 440),
    "another phone took the call, and the time of the answer is unknown": ("", None, "moved", "another phone", 0),
    "another phone took the call, and got as many packets": (22, 452, "moved", "another phone", 440),
}


@pytest.mark.parametrize(("sent", "elapsed_ms", "status", "known", "lasted_ms"), DIALLED.values(), ids=DIALLED)
def test_the_called_party_by_dial(sent, elapsed_ms, status, known, lasted_ms):
    check(played_sound(line("dial", sent, elapsed_ms, status), CALLED, SOUND_MS), known, lasted_ms)


CALLERS = {
    # sound of the caller and of the called party in ms (None if a party hears no sound), packets sent, ms since the
    # answer, status
    "both hear the same": (440, 440, 22, None, "", TIME, 440),
    "the caller's is shorter": (440, 560, 28, None, "", TIME, 440),
    "the caller's is longer by a packet": (460, 440, 22, None, "", TIME, 460),
    "the caller's is longer by two packets": (480, 440, 22, None, "", DIAL, 480),
    "the caller's is longer, and the time of the answer is unknown": (560, 440, 22, None, "", DIAL, 560),
    "the caller's is longer, and Dial() played long enough": (560, 440, 22, 571, FREE, TIME, 560),
    "the caller's is longer, and a key stopped both": (560, 440, 22, 443, FREE, "lasted 443 ms", 443),
    "a key stopped both": (440, 440, 9, 184, FREE, "lasted 184 ms", 184),
    "the called party's file is missing": (440, 440, 0, 447, FREE, TIME, 440),
    "both files are missing": (440, 440, 0, 3, FREE, "lasted 3 ms", 3),
    "the called party held the call": (440, 440, 9, 452, HELD, TIME, 440),
    "another phone took the call of the called party": (440, 440, 9, 452, "moved", TIME, 440),
    "another phone took the caller's place": (440, 440, 22, 452, LEFT, "took the caller's place", 440),
    "another phone took the place of the caller alone": (440, None, 0, 452, LEFT, "took the caller's place", 440),
    "the caller is behind a Local channel": (440, 440, 22, 452, "0-local", "behind a Local channel", 440),
    "the same, and the called party held the call": (440, 440, 9, 452, "1-local", "behind a Local channel", 440),
    "early media": (440, 440, 37, 452, FREE, TIME, 440),
    "early media, and a key stopped both": (440, 440, 37, 184, FREE, "lasted 184 ms", 184),
    "early media, and a key stopped both after as many packets as the sound has": (
        440,
        440,
        22,
        184,
        "early",
        "lasted 184 ms",
        184,
    ),
    "Local: Dial() played long enough": (440, 440, "", 452, "", TIME, 440),
    "Local: the time of the answer is unknown": (440, 440, "", None, "", DIAL, 440),
    "only the caller hears one": (440, None, 0, 447, FREE, TIME, 440),
    "only the caller hears one, just long enough": (440, None, 0, 420, FREE, TIME, 440),
    "only the caller hears one, and the file is missing": (440, None, 0, 2, FREE, "lasted 2 ms", 2),
    "only the caller hears one, and a key stopped it": (440, None, 0, 200, FREE, "lasted 200 ms", 200),
    "only the caller hears one, and the time of the answer is unknown": (440, None, 0, None, FREE, DIAL, 440),
    "only the caller hears one, after early media": (440, None, 22, 200, FREE, "lasted 200 ms", 200),
}


@pytest.mark.parametrize(
    ("caller_ms", "called_ms", "sent", "elapsed_ms", "status", "known", "lasted_ms"), CALLERS.values(), ids=CALLERS
)
def test_the_caller_by_dial(caller_ms, called_ms, sent, elapsed_ms, status, known, lasted_ms):
    files = {"called": "" if called_ms is None else "sample", "caller": "sample"}
    check(played_sound(line("dial", sent, elapsed_ms, status, **files), CALLER, caller_ms, called_ms), known, lasted_ms)


PLAYED_BACK = {
    "all of it": (22, 446, "SUCCESS", PACKETS, 440),
    "all of it, and a frame of silence": (23, 466, "SUCCESS", PACKETS, 440),
    "Local: no packets are counted": ("", 446, "SUCCESS", PLAYBACK, 440),
    "a packet is missing": (21, 446, "SUCCESS", "21 of 22 packets", 420),
    "the phone held the call: nothing was sent to it": (0, 446, "SUCCESS", "0 of 22 packets", 0),
    "it ended early, but its status is SUCCESS": (22, 419, "SUCCESS", "lasted 419 ms", 440),
    "Local: it ended early, but its status is SUCCESS": ("", 419, "SUCCESS", "lasted 419 ms", 419),
    "the file is missing": (0, 2, "FAILED", "ended as 'FAILED'", 0),
    "its status is FAILED, although it sent all packets": (22, 446, "FAILED", "ended as 'FAILED'", 440),
    "it hung up": (9, 180, "HANGUP", "ended during the sound: 9 of 22 packets", 180),
    "it hung up when all packets had been sent": (22, 437, "HANGUP", PACKETS, 440),
    "it hung up a packet before": (21, 419, "HANGUP", "21 of 22 packets", 420),
    "Local: it hung up": ("", 437, "HANGUP", "0 of 22 packets", 437),
    "another phone took the call": (22, 446, "MOVED", "ended as 'MOVED'", 440),
    "Dial()'s word": (22, 446, "moved", "ended as 'moved'", 440),
}


@pytest.mark.parametrize("played", ["first", "again", "own", "notice"])
@pytest.mark.parametrize(("sent", "elapsed_ms", "status", "known", "lasted_ms"), PLAYED_BACK.values(), ids=PLAYED_BACK)
def test_by_playback(sent, elapsed_ms, status, known, lasted_ms, played):
    check(played_sound(line(played, sent, elapsed_ms, status), CALLED, SOUND_MS), known, lasted_ms)


TONES = {
    "all of it": (28, 563, "SUCCESS", PACKETS, 560),
    "all of it but the last packet, which Wait() cuts off": (27, 560, "SUCCESS", PACKETS, 560),
    "Local: no packets are counted": ("", 560, "SUCCESS", TIME, 560),
    "just long enough": (27, 520, "SUCCESS", PACKETS, 560),
    "too short": (27, 519, "SUCCESS", "lasted 519 ms", 540),
    "Local: too short": ("", 519, "SUCCESS", "lasted 519 ms", 519),
    "another packet is missing": (26, 560, "SUCCESS", "26 of 27 packets", 520),
    "the phone held the call: nothing was sent to it": (0, 563, "SUCCESS", "0 of 27 packets", 0),
    "another phone took the call": (28, 563, "MOVED", "ended as 'MOVED'", 560),
    "without a status": (28, 563, "", "ended as ''", 560),
}


@pytest.mark.parametrize(("sent", "elapsed_ms", "status", "known", "lasted_ms"), TONES.values(), ids=TONES)
def test_by_tones(sent, elapsed_ms, status, known, lasted_ms):
    check(played_sound(line("tones", sent, elapsed_ms, status, called="notice"), CALLED, NOTICE_MS), known, lasted_ms)


def check(found: PlayedSound, known: KnownBy | str, lasted_ms: int) -> None:
    assert found.played is isinstance(known, KnownBy)
    if isinstance(known, KnownBy):
        assert found == PlayedSound(lasted_ms, known)
    else:
        assert found == PlayedSound(lasted_ms, None, found.why)
        assert known in found.why


@pytest.mark.parametrize(
    ("packet_ms", "sent", "known"),
    [
        ("20", 22, PACKETS),
        ("30", 15, PACKETS),
        ("30", 14, PACKETS),  # a rest of 20 ms does not fill a packet
        ("30", 13, "13 of 14 packets"),
        ("40", 11, PACKETS),
        ("40", 10, "10 of 11 packets"),
        ("60", 7, PACKETS),
        ("10", 44, PACKETS),
        ("10", 43, "43 of 44 packets"),
        ("90", 4, PACKETS),
        ("100", 4, PACKETS),
        ("", 14, "14 of 22 packets"),
    ],
)
def test_packets_of_another_length(packet_ms, sent, known):
    since = NOW - timedelta(milliseconds=446)
    found = read(sound_line(played="first", sent=sent, since=since, status="SUCCESS", packet_ms=f"0{packet_ms}"))
    assert isinstance(found, Sounded)
    judged = played_sound(found, CALLED, SOUND_MS)
    assert judged.known_by is known if isinstance(known, KnownBy) else known in judged.why


@pytest.mark.parametrize(("duration_ms", "wanted"), [(440, 22), (440.1, 23), (460, 23), (19, 1), (20, 1), (560, 28)])
def test_how_many_packets_a_sound_has(duration_ms, wanted):
    assert packets(duration_ms) == wanted
    assert played_sound(line("dial", wanted, None, ""), CALLED, duration_ms).known_by is PACKETS
    assert not played_sound(line("dial", wanted - 1, None, ""), CALLED, duration_ms).played


def test_a_sound_of_unknown_duration_was_not_played_unless_dial_played_it():
    for played in ("first", "again", "own", "notice", "tones"):
        found = played_sound(replace(line(played, 22, 446, "SUCCESS"), since=None), CALLED, SOUND_MS)
        assert (found.played, found.why) == (False, "it is unknown how long it lasted"), played


RTCP = "ssrc=198;themssrc=281;lp={lp};rxjitter={jitter};rxcount={rx};txjitter=0.0005;txcount=73;rlp={rlp};rtt=0.0;{mes}"
REPORTS = {
    # lost back, reported jitter, packets received, lost, quality, route: confirmed
    "it lost nothing": (0, "0.000125", 83, 0, "rxmes=88.08;txmes=0.0", "same", True),
    "it lost nothing, and got Asterisk's report": (0, "0.000000", 83, 0, "rxmes=88.08;rtt=0.021", "same", True),
    "it got nothing, and reports that it lost nothing": (0, "0.000000", 83, 0, "rxmes=88.087887", "same", False),
    "of a version without the quality": (0, "0.000250", 83, 0, "", "same", True),
    "no report": (0, "0.000000", 83, 0, "rxmes=0.000000;txmes=0.0", "same", False),
    "no report, and what Asterisk itself received was good": (
        0,
        "0.000000",
        83,
        0,
        "rxmes=0.0;txmes=88.1",
        "same",
        False,
    ),
    "it lost packets": (0, "0.000000", 83, 4, "rxmes=71.2;txmes=0.0", "same", False),
    "packets from it were lost": (2, "0.000125", 83, 0, "rxmes=88.08;txmes=0.0", "same", False),
    "one packet came from it": (0, "0.000125", 1, 0, "rxmes=88.08;txmes=0.0", "same", True),
    "nothing came from it but reports": (0, "0.000125", 0, 0, "rxmes=88.08;txmes=0.0", "same", False),
    "Asterisk sends elsewhere now": (0, "0.000125", 83, 0, "rxmes=88.08;txmes=0.0", "moved", False),
    "figures of a tongue with commas": (0, "0000250", 83, 0, "", "same", True),
    "no figure of its jitter": (0, "", 83, 0, "", "same", False),
    "no figure of what came from it": (0, "0.000125", "", 0, "", "same", False),
    "no figure of its losses": (0, "0.000125", 83, "", "", "same", True),
    "no figure of the losses from it": ("", "0.000125", 83, 0, "", "same", True),
    "nothing at all": (0, "", 0, 0, "", "same", False),
}


@pytest.mark.parametrize(("lp", "jitter", "rx", "rlp", "mes", "route", "is_confirmed"), REPORTS.values(), ids=REPORTS)
def test_what_the_phone_reports(lp, jitter, rx, rlp, mes, route, is_confirmed):
    rtcp = RTCP.format(lp=lp, jitter=jitter, rx=rx, rlp=rlp, mes=mes)
    found = read(f"reported,1795564585.21-1,123456789012,1795564590.000000,{rtcp},{route}")
    assert isinstance(found, Reported)
    assert reports_confirm(found) is is_confirmed
