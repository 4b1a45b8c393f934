from __future__ import annotations

import pytest

from .dialog import Dialog, client_key, intervals, invite, server_key
from .sip import Header, Party, Request, SipError, Uri, parse

CALLER = ("127.0.0.1", 5061)
CALLED = ("127.0.0.1", 5062)
ROUTES: list[Header] = [("Record-Route", "<sip:127.0.0.1:7001;lr>, <sip:127.0.0.1:7002;lr>")]


def contact(address: tuple[str, int]) -> Header:
    return "Contact", f"<sip:lab@{address[0]}:{address[1]}>"


def make_invite(headers: list[Header] | None = None) -> Request:
    sender = Party(Uri("0611112222", "127.0.0.1"), "Lab")
    return invite(Uri("0312345678", *CALLED), CALLER, sender, [contact(CALLER), *(headers or [])], b"")


def dialogs(headers: list[Header] | None = None) -> tuple[Dialog, Dialog]:
    request = make_invite(headers)
    return Dialog.of_caller(request, request.response(200, "b", [contact(CALLED)])), Dialog.of_called(request, "b")


def test_both_sides_agree_on_the_dialog() -> None:
    caller, called = dialogs()
    assert (caller.call_id, caller.local, caller.remote) == (called.call_id, called.remote, called.local)
    assert (caller.target.address, called.target.address) == (CALLED, CALLER)
    assert (caller.next_hop, called.next_hop) == (CALLED, CALLER)


def test_requests_count_up_and_an_ack_does_not() -> None:
    caller, called = dialogs()
    sequences = [caller.request(method, CALLER).sequence for method in ("ACK", "INVITE", "ACK", "BYE")]
    assert sequences == [(1, "ACK"), (2, "INVITE"), (2, "ACK"), (3, "BYE")]
    assert called.request("BYE", CALLED).sequence == (1, "BYE")


def test_the_two_sides_go_back_through_the_proxies_in_opposite_order() -> None:
    caller, called = dialogs(ROUTES)
    assert (caller.next_hop[1], called.next_hop[1]) == (7002, 7001)
    routes = parse(caller.request("BYE", CALLER).encode()).all("Route")
    assert routes == ["<sip:127.0.0.1:7002;lr>", "<sip:127.0.0.1:7001;lr>"]
    assert caller.request("BYE", CALLER).uri.address == CALLED


def test_a_reinvite_may_move_the_other_party() -> None:
    caller, _ = dialogs()
    caller.refresh(Request([contact(("127.0.0.1", 9999))]))
    assert caller.target.port == 9999
    caller.refresh(Request([]))
    assert caller.target.port == 9999


def test_a_dialog_needs_a_contact() -> None:
    request = make_invite()
    with pytest.raises(SipError, match="no Contact"):
        Dialog.of_caller(request, request.response(200, "b"))


def test_transactions_are_distinguished() -> None:
    request, other = make_invite(), make_invite()
    refusal = request.response(486, "b")
    assert client_key(request) == client_key(refusal) != client_key(other)
    assert client_key(request.cancellation()) != client_key(request)
    assert server_key(request.acknowledgement(refusal)) == server_key(request) != server_key(other)
    assert server_key(request.cancellation())[:2] == server_key(request)[:2]


def test_retransmissions_slow_down_and_end_after_64_times_t1() -> None:
    waits = list(intervals(0.5, 4.0))
    assert waits[:5] == [0.5, 1.0, 2.0, 4.0, 4.0]
    assert sum(waits) == 32.0
