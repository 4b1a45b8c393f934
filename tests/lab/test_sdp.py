import pytest

from lab.sdp import Session
from lab.sip import SipError

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=Asterisk\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
    b"m=audio 26000 RTP/AVP 9 8 0 101\r\nc=IN IP4 127.0.0.1\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [(b"m=audio", b"m=video", "no audio"), (b"IN IP4", b"ATM NSAP", "no audio"), (b"9 8 0 101", b"3 101", "no codec")],
)
def test_descriptions_without_usable_audio_are_refused(old: bytes, new: bytes, complaint: str) -> None:
    with pytest.raises(SipError, match=complaint):
        Session.parse(OFFER.replace(old, new))
