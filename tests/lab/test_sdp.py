from __future__ import annotations

import pytest

from .g711 import PCMA, PCMU
from .sdp import Session
from .sip import SipError

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=Asterisk\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
    b"m=audio 26000 RTP/AVP 9 8 0 101\r\nc=IN IP4 127.0.0.1\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
)


def test_an_offer_is_read() -> None:
    assert Session.parse(OFFER) == Session(("127.0.0.1", 26000), (9, 8, 0, 101), "sendrecv")


def test_the_answer_takes_the_first_g711_of_the_offer() -> None:
    answer = Session.parse(OFFER).answer(("127.0.0.1", 4000))
    assert answer == Session(("127.0.0.1", 4000), (PCMA,))
    assert Session.parse(answer.encode()) == answer


@pytest.mark.parametrize(
    ("offered", "answered"),
    [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")],
)
def test_the_answer_mirrors_the_direction(offered: str, answered: str) -> None:
    offer = Session.parse(OFFER + f"a={offered}\r\n".encode())
    assert offer.answer(("127.0.0.1", 4000)).direction == answered


def test_what_is_written_is_read_again() -> None:
    session = Session(("127.0.0.1", 4000), (PCMU, PCMA))
    assert Session.parse(session.encode()) == session


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [(b"m=audio", b"m=video", "no audio"), (b"IN IP4", b"IN IP6", "no audio"), (b"9 8 0 101", b"9 101", "no G.711")],
)
def test_what_we_cannot_hear_is_refused(old: bytes, new: bytes, complaint: str) -> None:
    with pytest.raises(SipError, match=complaint):
        Session.parse(OFFER.replace(old, new))
