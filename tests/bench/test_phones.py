"""The bench of other makers' phones: its judgement, and its table on the pages."""

import re
import socket
import time
from collections import Counter

import pytest

from bench.phones import phones_page
from bench.phones.claims import PlayedSound, SituationResults
from bench.phones.situations import SITUATIONS
from bench.results_in_docs import text_in
from idtone.core.calls import Party
from idtone.tones.verification.report import ToneVerdict
from lab.phones.capture import Capture, media
from lab.phones.network_devices import change_media_address
from lab.phones.received_sound import Received, count_by_sequence
from lab.phones.rtpengine import decoded, encoded
from lab.rtp import Packet

WHOLE = Received(20, 20, ToneVerdict.CONFORMS)
PART = Received(13, 20, ToneVerdict.PRESENT)
CLAIMS = {
    # party, received, delivery, played, astray: more, less
    "all of it came": (Party.CALLED, WHOLE, "confirmed", True, False, False, False),
    "it was sent, and came": (Party.CALLED, WHOLE, "sent", True, False, False, False),
    "it came, and the record does not know": (Party.CALLED, WHOLE, "not-known", True, False, False, True),
    "a part came, and it is confirmed": (Party.CALLED, PART, "confirmed", True, True, True, False),
    "a part came of what was sent": (Party.CALLED, PART, "sent", True, False, True, False),
    "a part came of what was sent, by a way that loses": (Party.CALLED, PART, "sent", True, True, False, False),
    "a part came, and the record does not know": (Party.CALLED, PART, "not-known", False, False, False, False),
    "the caller got it": (Party.CALLER, WHOLE, "not-known", True, False, False, False),
    "the caller got it, and it was not played": (Party.CALLER, WHOLE, "not-known", False, False, False, True),
}


@pytest.mark.parametrize(
    ("party", "received", "delivery", "played", "astray", "more", "less"), CLAIMS.values(), ids=CLAIMS
)
def test_what_a_record_claims(party, received, delivery, played, astray, more, less):
    sounding = PlayedSound(party, received, delivery, played, astray)
    assert (sounding.claims_more, sounding.claims_less) == (more, less)


def test_a_row_of_the_table():
    row = SituationResults(
        "behind NAT", "pjsua2", [PlayedSound(Party.CALLED, each, "sent", True) for each in (WHOLE, PART)], 2, nat=True
    )
    told = phones_page.table([row.to_json()], phones_page._ENGLISH, 2)
    assert "| pjsua2 | behind NAT | called | 1 / 2 | 13–20 | sent 2 | 1 | 0 |" in told
    assert "Behind NAT, 1 of 2 calls" in told


def test_each_situation_has_its_own_words():
    words = Counter((each.phone, each.caller, each.what) for each in SITUATIONS)
    assert max(words.values()) == 1
    assert len(SITUATIONS) >= 60


@pytest.mark.parametrize(("path", "column"), [(phones_page.ENGLISH, "what"), (phones_page.JAPANESE, "japanese")])
def test_the_pages_have_all_situations(path, column):
    made = text_in(path, phones_page.BENCH)
    for situation in SITUATIONS:
        assert f"| {getattr(situation, column)} |" in made, f"{situation.what}: run make bench-phones"


CAME = {
    "none": ((), 0),
    "all": (range(22), 20),
    "over the end of the numbers": (range(65530, 65552), 20),
    "the first five went astray": (range(5, 22), 15),
    "a part, and then all of it": (range(4, 44), 20),
    "one is missing": ([*range(10), *range(11, 22)], 19),
}


@pytest.mark.parametrize(("numbers", "loud"), CAME.values(), ids=CAME)
def test_packets_that_nobody_decodes_are_counted_by_their_numbers(numbers, loud):
    def packet(number: int, ssrc: int = 1) -> Packet:
        return Packet(0, number % 65536, 0, ssrc, 0, b"")

    # Packets with another SSRC are the other party's.
    others = [packet(number, 2) for number in range(25)] if numbers else []
    received = count_by_sequence([*map(packet, numbers), *others], 22, 20)
    assert (received.loud, received.whole) == (loud, loud == 20)


@pytest.mark.parametrize(
    ("protocol", "rtp", "there"),
    [(17, "80008000", True), (17, "80c88000", False), (17, "40008000", False), (6, "80008000", False)],
    ids=["RTP", "RTCP", "DTLS or SIP", "TCP"],
)
def test_which_datagrams_are_media(protocol, rtp, there):
    ip = bytes([0x45, *bytes(8), protocol, *bytes(6), 127, 0, 0, 9])
    found = media(ip + bytes.fromhex("2710 80f0 0000 0000") + bytes.fromhex(rtp) + bytes(8 + 160))
    assert (found is not None) is there
    if found:
        assert (found[0], found[1].payload_type, len(found[1].payload)) == (("127.0.0.9", 0x80F0), 0, 160)


def test_the_last_packets_of_a_call_before_are_none_of_the_next_one():
    capture, here, began_ns = Capture(), ("127.0.0.9", 4000), time.time_ns()
    for after_ns, ssrc in ((-1, 7), (1, 7), (2, 8), (9, 8)):
        capture._packets.append((here, Packet(began_ns + after_ns, 1, 0, ssrc, 0, b"")))
    assert [packet.ssrc for packet in capture.take({here}, began_ns, began_ns + 5)] == [8]


@pytest.mark.skipif(not Capture.possible(), reason="only root can capture")
def test_connections_of_others_take_no_place_from_media(monkeypatch):
    """The packets of other connections fill the buffer while no thread reads them."""
    monkeypatch.setattr(Capture, "_listen", lambda _: None)
    with (
        Capture(),
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
        server.accept()[0] as other,
    ):
        for _ in range(500):
            one.sendall(bytes(100_000))
            other.recv(100_000, socket.MSG_WAITALL)


def test_a_session_description_is_moved():
    body = b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN IP4 127.0.0.1\r\na=sendrecv\r\n"
    assert (
        change_media_address(body, "127.0.0.9", 9)
        == b"v=0\r\nc=IN IP4 127.0.0.9\r\nm=audio 9 RTP/AVP 0\r\na=sendrecv\r\n"
    )


def test_what_rtpengine_is_asked():
    asked = {"command": "offer", "flags": ["a", "b"], "n": 7}
    octets = encoded(asked)
    assert octets == b"d7:command5:offer5:flagsl1:a1:be1:ni7ee"
    assert decoded(octets) == ({b"command": b"offer", b"flags": [b"a", b"b"], b"n": 7}, b"")
    assert not re.search(rb"\s", octets)
