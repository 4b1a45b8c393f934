from __future__ import annotations

import pytest

from .codecs import EVENTS, G722, OPUS
from .g711 import PCMA, PCMU
from .sdp import Session
from .sip import SipError

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=Asterisk\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
    b"m=audio 26000 RTP/AVP 9 8 0 101\r\nc=IN IP4 127.0.0.1\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
)


def test_an_offer_is_read() -> None:
    assert Session.parse(OFFER) == Session(("127.0.0.1", 26000), (9, 8, 0, 101), "sendrecv")


@pytest.mark.parametrize(("spoken", "taken"), [((PCMU, PCMA), PCMA), ((PCMU,), PCMU), ((OPUS, G722), G722)])
def test_the_answer_takes_the_first_offered_codec_that_we_have(spoken: tuple[int, ...], taken: int) -> None:
    answer = Session.parse(OFFER).answer(("127.0.0.1", 4000), spoken)
    assert answer == Session(("127.0.0.1", 4000), (taken, EVENTS))
    assert Session.parse(answer.encode()) == answer


def test_an_answer_needs_a_codec_in_common() -> None:
    with pytest.raises(SipError, match="no codec in common"):
        Session.parse(OFFER).answer(("127.0.0.1", 4000), (OPUS,))


@pytest.mark.parametrize(
    ("mapping", "formats"), [("opus/48000/2", (OPUS, PCMU)), ("G726-32/8000", (PCMU,)), ("", (PCMU,))]
)
def test_a_dynamic_number_means_what_its_mapping_says(mapping: str, formats: tuple[int, ...]) -> None:
    lines = f"a=rtpmap:{OPUS} {mapping}\r\n" if mapping else ""
    offer = OFFER.replace(b"9 8 0 101", f"{OPUS} 0".encode()) + lines.encode()
    assert Session.parse(offer).formats == formats


@pytest.mark.parametrize("port", [0, 4002])
def test_a_video_is_taken_or_refused_and_its_lines_are_not_the_audios(port: int) -> None:
    video = b"m=video 26002 RTP/AVP 99\r\nc=IN IP4 10.9.9.9\r\na=rtpmap:99 H264/90000\r\na=recvonly\r\n"
    offer = Session.parse(OFFER + video)
    assert offer == Session(("127.0.0.1", 26000), (9, 8, 0, 101), "sendrecv", 26002)
    answer = offer.answer(("127.0.0.1", 4000), video=port)
    assert (answer.video, Session.parse(answer.encode())) == (port, answer)
    assert Session.parse(OFFER).answer(("127.0.0.1", 4000), video=port).video is None


@pytest.mark.parametrize(
    ("offered", "answered"),
    [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")],
)
def test_the_answer_mirrors_the_direction(offered: str, answered: str) -> None:
    offer = Session.parse(OFFER + f"a={offered}\r\n".encode())
    assert offer.answer(("127.0.0.1", 4000)).direction == answered


def test_an_encoded_description_is_read_again() -> None:
    session = Session(("127.0.0.1", 4000), (PCMU, OPUS, G722, EVENTS), "inactive", version=7)
    assert Session.parse(session.encode()) == session


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [(b"m=audio", b"m=video", "no audio"), (b"IN IP4", b"IN IP6", "no audio"), (b"9 8 0 101", b"3 101", "no codec")],
)
def test_descriptions_without_usable_audio_are_refused(old: bytes, new: bytes, complaint: str) -> None:
    with pytest.raises(SipError, match=complaint):
        Session.parse(OFFER.replace(old, new))
