from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .sip import Party, Request, Response, SipError, Uri, parse

INVITE = (
    b"INVITE sip:0312345678@127.0.0.1:5070;lab=7 SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKa, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n"
    b'f: "Al \\"the\\" <k>, Ltd" <sip:0611112222@127.0.0.1>;tag=t1\r\n'
    b"t: <sip:0312345678@127.0.0.1>\r\n"
    b"i: abc@lab\r\n"
    b"m: <sip:asterisk@127.0.0.1:5060>\r\n"
    b"CSeq: 17  INVITE\r\n"
    b"Record-Route: <sip:p1;lr>,\r\n <sip:p2;lr>\r\n"
    b"Subject: one, two\r\n"
    b"c: application/sdp\r\n"
    b"l: 4\r\n"
    b"\r\n"
    b"v=0\nleftover"
)


def test_a_request_is_read_with_compact_names_folds_and_lists() -> None:
    invite = parse(INVITE)
    assert isinstance(invite, Request)
    assert (invite.method, invite.uri.user, invite.uri.address) == ("INVITE", "0312345678", ("127.0.0.1", 5070))
    assert invite.uri.parameter("lab") == "7"
    assert invite.branch == "z9hG4bKa"
    assert invite.sequence == (17, "INVITE")
    assert invite.sender.display == 'Al "the" <k>, Ltd'
    assert (invite.sender.tag, invite.recipient.tag) == ("t1", "")
    assert invite.all("Record-Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert invite.all("subject") == ["one, two"]
    assert invite.body == b"v=0\n"


def test_a_response_echoes_what_identifies_the_transaction() -> None:
    invite = parse(INVITE)
    assert isinstance(invite, Request)
    response = parse(
        invite.response(486, "mine", [("Reason", 'SIP;cause=486, Q.850;cause=17;text="User, busy"')]).encode()
    )
    assert isinstance(response, Response)
    assert (response.status, response.phrase, response.cause) == (486, "Busy Here", 17)
    assert (response.branch, response.sequence, response.call_id) == (invite.branch, invite.sequence, invite.call_id)
    assert (len(response.all("Via")), response.sender, response.recipient.tag) == (2, invite.sender, "mine")


def test_ack_and_cancel_belong_to_the_transaction_of_their_invite() -> None:
    invite = parse(INVITE)
    assert isinstance(invite, Request)
    for request in (invite.acknowledgement(invite.response(486, "mine")), invite.cancellation()):
        again = parse(request.encode())
        assert isinstance(again, Request)
        assert (again.branch, again.uri, again.sequence) == (invite.branch, invite.uri, (17, request.method))
    assert invite.acknowledgement(invite.response(486, "mine")).recipient.tag == "mine"
    assert invite.cancellation().recipient.tag == ""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b"INVITE sip:", b"INVITE tel:", "not a SIP URI"),
        (b" SIP/2.0\r\nv:", b" SIP/3.0\r\nv:", "neither a request"),
        (b"i: abc@lab\r\n", b"", "no Call-ID"),
        (b"CSeq: 17  INVITE", b"CSeq: 17 BYE", "another method"),
        (b"CSeq: 17  INVITE", b"CSeq: INVITE", "number and a method"),
        (b"branch=z9hG4bKa", b"branch=old", "branch"),
        (b"l: 4", b"l: 400", "cut off"),
        (b"l: 4", b"l: -4", "cut off"),
        (b"i: abc", b"bad header: abc", "not a header"),
        (b"Subject: one", b"Subject: \xff", "UTF-8"),
        (b"f: ", b"f: nobody", "not a SIP URI"),
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
