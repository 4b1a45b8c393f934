import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.sip import Party, Request, SipError, Uri, parse

INVITE = (
    b"INVITE sip:0312345678@127.0.0.1:5070;lab=7 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKa, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n"
    b'From: "Al \\"the\\" <k>, Ltd" <sip:0611112222@127.0.0.1>;tag=t1\r\n'
    b"To: <sip:0312345678@127.0.0.1>\r\n"
    b"Call-ID: abc@lab\r\n"
    b"Contact: <sip:asterisk@127.0.0.1:5060>\r\n"
    b"CSeq: 17  INVITE\r\n"
    b"Subject: one, two\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"v=0\nleftover"
)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b"INVITE sip:", b"INVITE tel:", "not a SIP URI"),
        (b" SIP/2.0\r\nVia:", b" SIP/3.0\r\nVia:", "neither a request"),
        (b"Call-ID: abc@lab\r\n", b"", "no Call-ID"),
        (b"CSeq: 17  INVITE", b"CSeq: 17 BYE", "another method"),
        (b"CSeq: 17  INVITE", b"CSeq: INVITE", "number and a method"),
        (b"branch=z9hG4bKa", b"branch=old", "branch"),
        (b"Content-Length: 4", b"Content-Length: 400", "cut off"),
        (b"Content-Length: 4", b"Content-Length: -4", "cut off"),
        (b"Call-ID: abc", b"bad header: abc", "not a header"),
        (b"From: ", b"From: nobody", "not a SIP URI"),
    ],
)
def test_a_text_that_is_not_sip_is_refused_with_the_reason(old: bytes, new: bytes, complaint: str) -> None:
    assert INVITE.count(old) == 1
    with pytest.raises(SipError, match=complaint):
        parse(INVITE.replace(old, new))


@pytest.mark.parametrize("value", ["a\r\nInjected: 1", "a\nb", "a\0"])
def test_a_header_cannot_inject_a_line(value: str) -> None:
    with pytest.raises(SipError, match="line break"):
        Request([("X-Lab", value)], b"", "OPTIONS", Uri("", "127.0.0.1")).encode()


@given(
    user=st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20),
    display=st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=20),
)
@settings(max_examples=100)
def test_any_user_and_any_name_survive_the_wire(user: str, display: str) -> None:
    party = Party(Uri(user, "127.0.0.1", 5060), display).tagged("t")
    again = Party.parse(str(party))
    assert (again.uri.user, again.display, again.tag) == (user, display, "t")


@given(st.integers(0, len(INVITE)), st.binary(max_size=3), st.integers(0, 3))
@settings(max_examples=200)
def test_a_damaged_message_is_refused_or_means_the_same_when_sent_on(at: int, inserted: bytes, removed: int) -> None:
    try:
        message = parse(INVITE[:at] + inserted + INVITE[at + removed :])
        again = message.encode()
    except SipError:
        return
    assert parse(again) == message
