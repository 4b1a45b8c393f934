"""The FastAGI server over real sockets, with peers that misbehave."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from idtone.agi.environment import AgiRequest
from idtone.agi.server import Answer, FastAgiServer, Limits, Listener, bound_to
from idtone.errors import AgiError, LedgerError

from .fake_asterisk import NUMBER, calling, presented
from .peer import STRANGER, ask_as

QUICK = Limits(presented_s=0.3, response_s=0.2, whole_s=0.6, drain_s=0.3, waiting=4, answering=3)
ANYWHERE = ("127.0.0.1", 0)


class RecordingAnswer:
    """An answer that records the requests."""

    def __init__(self, *raises: Exception, takes_s: float = 0) -> None:
        self.requests: list[AgiRequest] = []
        self.raises = raises
        self.takes_s = takes_s

    async def __call__(self, request: AgiRequest) -> Mapping[str, str]:
        self.requests.append(request)
        for error in self.raises:
            raise error
        await asyncio.sleep(self.takes_s)
        return {"IDTONE_OUTCOME": 'PLAY "x" \\', "IDTONE_NONCE": "n-1"}


@asynccontextmanager
async def serving(answer: Answer, limits: Limits = QUICK) -> AsyncIterator[tuple[str, int]]:
    async with FastAgiServer(answer, limits).listening(ANYWHERE) as address:
        assert not isinstance(address, Path)
        yield address


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "idtone.agi")
    return caplog


def closed_for(logged: pytest.LogCaptureFixture) -> list[str]:
    """The reasons in the log; each first message starts a throttle window."""
    assert "1234" not in logged.text, "the log must not contain a number"
    start = "an AGI connection was closed: "
    return [line.removeprefix(start) for line in logged.messages if line.startswith(start)]


async def test_an_answer_becomes_variables_in_order(logged):
    asked = RecordingAnswer()
    async with serving(asked) as address, calling(address, presented("decide", ["0312345678"])) as asterisk:
        await asterisk.serve()
    assert asterisk.commands[0] == "NOOP"
    assert list(asterisk.variables.items()) == [("IDTONE_OUTCOME", 'PLAY "x" \\'), ("IDTONE_NONCE", "n-1")]
    assert asked.requests == [AgiRequest("decide", ("0312345678",), "1795597718.1", NUMBER)]
    assert not closed_for(logged)


async def test_octets_can_come_one_by_one(logged):
    async with serving(RecordingAnswer(), Limits()) as address, calling(address, b"") as asterisk:
        for octet in presented():
            asterisk.write(bytes([octet]))
            await asyncio.sleep(0)
        await asterisk.serve()
    assert asterisk.variables


NOT_ASTERISK = {
    "line 16 of the environment is not agi_rdnis": presented().replace(b"agi_rdnis: unknown\n", b""),
    "agi_callerid contains a control character": presented(agi_callerid=b"0312345678\r"),
    "the environment is longer than 16384 octets": 20000 * b"x",
    "Asterisk's response is malformed": presented() + b"agi_calleridname: x\n",
    "Asterisk refused a command (code 510)": presented() + b"510 Invalid or unknown command\n",
    "Asterisk did not execute a command": presented() + b"200 result=1\n",
    "it had not presented a call within 0.3 s": presented()[:-1],
    "Asterisk's response is too long": presented() + 20000 * b"2",
}


@pytest.mark.parametrize("reason", NOT_ASTERISK)
async def test_a_peer_that_is_not_asterisk_is_never_answered(reason, logged):
    asked = RecordingAnswer()
    async with serving(asked) as address, calling(address, NOT_ASTERISK[reason]) as asterisk:
        await asterisk.serve()
        assert closed_for(logged) == [reason]
    assert not asked.requests
    assert not asterisk.variables


async def test_an_environment_in_a_name_is_detected_by_the_lines_after_it(logged):
    """The name contains a complete, valid environment. But then the rest of the true one follows."""
    asked = RecordingAnswer()
    forged = presented("decide", ["forged"]).partition(b"agi_calleridname: ")[2]
    environment = presented("decide", ["true"], agi_calleridname=forged)
    async with serving(asked) as address, calling(address, environment) as asterisk:
        await asterisk.serve()
    assert not asked.requests
    assert closed_for(logged) == ["Asterisk's response is malformed"]


async def test_a_peer_that_is_silent_after_its_environment_has_not_presented_a_call(logged):
    asked = RecordingAnswer()
    async with serving(asked) as address, calling(address, presented()) as asterisk:
        asterisk.instead["NOOP"] = b""
        await asterisk.serve()
    assert closed_for(logged) == ["it had not presented a call within 0.3 s"]
    assert not asked.requests


async def test_a_channel_that_hung_up_meanwhile_is_not_logged(logged):
    asked = RecordingAnswer()
    async with serving(asked) as address, calling(address, presented() + b"511 Command Not Permitted\n") as asterisk:
        await asterisk.serve()
    assert not asked.requests
    assert not closed_for(logged)


async def test_a_peer_that_connects_and_leaves_is_logged(logged):
    async with serving(RecordingAnswer()) as address:
        async with calling(address, b"agi_network: yes\n"):
            pass
        await asyncio.sleep(0.05)
        assert closed_for(logged) == ["it ended before it presented a call"]


async def test_asterisk_has_limited_time_to_answer(logged):
    async with serving(RecordingAnswer()) as address, calling(address, presented()) as asterisk:
        asterisk.instead["SET VARIABLE"] = b""
        started_s = time.monotonic()
        await asterisk.serve()
    assert 0.15 < time.monotonic() - started_s < 1
    assert closed_for(logged) == ["Asterisk had not answered within 0.2 s"]


async def test_the_connection_has_limited_time(logged):
    async with serving(RecordingAnswer(takes_s=5)) as address, calling(address, presented()) as asterisk:
        started_s = time.monotonic()
        await asterisk.serve()
    assert 0.5 < time.monotonic() - started_s < 2
    assert not asterisk.variables
    assert closed_for(logged) == ["it had not ended within 0.6 s"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (AgiError("decide wants two arguments"), "an AGI connection was closed: decide wants two arguments"),
        (LedgerError("the disk is full"), "decide, channel 1795597718.1: no answer: the disk is full"),
        (RuntimeError("a fault of ours"), "decide, channel 1795597718.1: no answer"),
        (TimeoutError(), "decide, channel 1795597718.1: no answer"),
        (ConnectionError(), "decide, channel 1795597718.1: no answer"),
    ],
)
async def test_an_answer_that_fails_sets_nothing(error, line, logged):
    async with serving(RecordingAnswer(error)) as address, calling(address, presented()) as asterisk:
        await asterisk.serve()
    assert asterisk.commands == ["NOOP"]
    assert logged.messages == [line]


async def test_if_one_variable_cannot_be_set_none_is_set(logged):
    async def answer(_: AgiRequest) -> Mapping[str, str]:
        return {"A": "x", "B": "y\nSET VARIABLE C z"}

    async with serving(answer) as address, calling(address, presented()) as asterisk:
        await asterisk.serve()
    assert asterisk.commands == ["NOOP"]
    assert closed_for(logged) == ["SET VARIABLE: an argument contains a control character"]


@pytest.mark.parametrize("response", [{"NOOP": b"HANGUP\n200 result=0\n"}, {"SET VARIABLE": b"HANGUP\n200 result=1\n"}])
async def test_after_a_hangup_asterisk_still_sets_variables(response, logged):
    async with serving(RecordingAnswer()) as address, calling(address, presented()) as asterisk:
        asterisk.instead = response
        await asterisk.serve()
    assert len(asterisk.commands) == 3
    assert "IDTONE_NONCE" in asterisk.variables
    assert not closed_for(logged)


async def test_a_channel_hangs_up_once(logged):
    async with serving(RecordingAnswer()) as address, calling(address, presented()) as asterisk:
        asterisk.instead["NOOP"] = b"HANGUP\nHANGUP\n200 result=0\n"
        await asterisk.serve()
    assert closed_for(logged) == ["Asterisk's response is malformed"]


async def test_a_dead_channel_is_not_an_error(logged):
    async with serving(RecordingAnswer()) as address, calling(address, presented()) as asterisk:
        asterisk.instead["SET VARIABLE"] = b"511 Command Not Permitted on a dead channel or intercept routine\n"
        await asterisk.serve()
    assert len(asterisk.commands) == 2, "no further variable may be set"
    assert not closed_for(logged)


async def test_a_connection_that_breaks_meanwhile_is_not_an_error(logged):
    asked = RecordingAnswer(takes_s=0.1)
    async with serving(asked) as address:
        async with calling(address, presented()) as asterisk:
            assert await asterisk.reader.readline() == b"NOOP\n"
            asterisk.write(b"200 result=0\n")
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
    assert asked.requests
    assert logged.messages == ["decide, channel 1795597718.1: it hung up meanwhile"]


@pytest.mark.parametrize("mute_behind", [b"a", presented()], ids=["nothing", "an environment"])
async def test_the_oldest_connection_is_closed_for_a_new_one(mute_behind, logged):
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(RecordingAnswer(), Limits(waiting=4)))
        slow = []
        for _ in range(6):
            slow.append(await stack.enter_async_context(calling(address, mute_behind)))
            await asyncio.sleep(0.02)
        honest = await stack.enter_async_context(calling(address, presented()))
        await honest.serve()
        assert honest.variables
        ends = [asyncio.create_task(each.reader.read()) for each in slow]
        await asyncio.sleep(0.05)
        assert [end.done() for end in ends] == [True, True, True, False, False, False]
        reason = "it had not presented a call, and a newer one needed its place"
        assert closed_for(logged) == [reason]
    assert f"{reason} (2 times more within 10 s)" in closed_for(logged)


async def test_a_presented_call_is_not_closed_for_a_connection_without_one(logged):
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(RecordingAnswer(), Limits(waiting=4)))
        honest = await stack.enter_async_context(calling(address, presented()))
        for _ in range(9):
            await stack.enter_async_context(calling(address, b"a"))
        await asyncio.sleep(0.05)
        await honest.serve()
    assert honest.variables


async def test_a_connection_that_is_presenting_is_not_closed_for_unproven_ones(logged):
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(RecordingAnswer(), Limits(waiting=4)))
        honest = await stack.enter_async_context(calling(address, presented()[:99]))
        for _ in range(9):
            await stack.enter_async_context(calling(address, presented()))
            await asyncio.sleep(0.01)
        honest.write(presented()[99:])
        await honest.serve()
    assert honest.variables


async def test_each_connection_has_the_same_time(logged):
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(RecordingAnswer()))
        for start in (b"a", presented(), b"a"):
            slow = await stack.enter_async_context(calling(address, start))
            await asyncio.sleep(0.1)
        await asyncio.wait_for(slow.reader.read(), 1)
        assert closed_for(logged) == ["it had not presented a call within 0.3 s"]
    assert "it had not presented a call within 0.3 s (2 times more within 10 s)" in closed_for(logged)


async def test_the_number_of_simultaneous_answers_is_limited(logged):
    asked = RecordingAnswer(takes_s=0.3)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(asked))
        callers = [await stack.enter_async_context(calling(address, presented())) for _ in range(4)]
        await asyncio.gather(*(each.serve() for each in callers))
    assert sorted(len(each.variables) for each in callers) == [0, 2, 2, 2]
    assert len(asked.requests) == 3
    assert closed_for(logged) == ["the server is already answering 3 calls"]


async def test_a_stop_waits_for_answers(logged):
    async with AsyncExitStack() as stack:
        async with serving(RecordingAnswer(takes_s=0.2)) as address:
            asterisk = await stack.enter_async_context(calling(address, presented()))
            reading = asyncio.create_task(asterisk.serve())
            await asyncio.sleep(0.05)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await reading
    assert len(asterisk.variables) == 2
    assert not closed_for(logged)


async def test_the_wait_of_a_stop_is_limited(logged):
    async with AsyncExitStack() as stack:
        started_s = time.monotonic()
        async with serving(RecordingAnswer(takes_s=9), Limits(drain_s=0.2, whole_s=9)) as address:
            asterisk = await stack.enter_async_context(calling(address, presented()))
            reading = asyncio.create_task(asterisk.serve())
            await asyncio.sleep(0.05)
        await reading
    assert time.monotonic() - started_s < 2
    assert closed_for(logged) == ["it had not ended when the service stopped"]


async def test_a_taken_port_is_named():
    async with serving(RecordingAnswer()) as address:
        with pytest.raises(AgiError, match=f"agi.listen: 127.0.0.1, port {address[1]}: Address already in use"):
            async with FastAgiServer(RecordingAnswer()).listening(address):
                pass


async def test_a_unix_socket(tmp_path):
    path = tmp_path / "agi.sock"
    async with FastAgiServer(RecordingAnswer()).listening(path) as address:
        assert address == path
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        async with calling(path, presented()) as asterisk:
            await asterisk.serve()
        assert asterisk.variables
    assert not os.listdir(tmp_path)


async def test_a_stale_unix_socket_is_replaced(tmp_path):
    path = tmp_path / "agi.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(path))
    async with FastAgiServer(RecordingAnswer()).listening(path), calling(path, presented()) as asterisk:
        await asterisk.serve()
    assert asterisk.variables


async def test_the_next_instance_takes_the_unix_socket_and_keeps_it(tmp_path):
    path = tmp_path / "agi.sock"
    async with AsyncExitStack() as stack:
        async with FastAgiServer(RecordingAnswer()).listening(path):
            path.rename(path.with_suffix(".old"))  # as if another process had made it
            await stack.enter_async_context(FastAgiServer(RecordingAnswer()).listening(path))
        async with calling(path, presented()) as asterisk:
            await asterisk.serve()
    assert asterisk.variables


GROUP = STRANGER + 1
OBEDIENT = presented() + b"200 result=0\n200 result=1\n200 result=1\n"
"""What a peer sends without waiting for commands."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user; run this test as root")


async def asked_as(path: Path, user: int, *groups: int) -> bytes:
    """The answer of the socket, which has a group of its own, to this user."""
    os.chown(path, -1, GROUP)
    return await asyncio.to_thread(ask_as, path, user, groups, OBEDIENT)


@as_root
async def test_another_user_gets_nothing_from_a_unix_socket(tmp_path, logged):
    asked, path = RecordingAnswer(), tmp_path / "agi.sock"
    async with FastAgiServer(asked).listening(path):
        for _ in range(3):
            assert await asked_as(path, STRANGER, STRANGER, GROUP + 1) == b""
        reason = f"user {STRANGER} may not connect; add this user to the group of {path}"
        assert closed_for(logged) == [reason]
        async with calling(path, presented()) as asterisk:
            await asterisk.serve()
        assert asterisk.variables
    assert closed_for(logged) == [reason, f"{reason} (2 times more within 10 s)"]
    assert len(asked.requests) == 1


@as_root
@pytest.mark.parametrize("groups", [(GROUP,), (STRANGER, GROUP), (STRANGER, *range(1000, 1100), GROUP)], ids=len)
async def test_a_member_of_the_sockets_group_may_connect(groups, tmp_path, logged):
    path = tmp_path / "agi.sock"
    async with FastAgiServer(RecordingAnswer()).listening(path):
        assert b"SET VARIABLE" in await asked_as(path, STRANGER, *groups)
    assert not closed_for(logged)


@as_root
async def test_the_services_own_user_may_connect(tmp_path, logged, monkeypatch):
    path = tmp_path / "agi.sock"
    async with FastAgiServer(RecordingAnswer()).listening(path):
        monkeypatch.setattr("os.geteuid", lambda: STRANGER)
        assert b"SET VARIABLE" in await asked_as(path, STRANGER, STRANGER)
        assert await asked_as(path, STRANGER + 5, STRANGER) == b""


@as_root
async def test_a_unix_socket_that_was_handed_over_also_checks_its_peer(tmp_path, logged):
    path = tmp_path / "agi.sock"
    with bound_to(path) as first:
        async with FastAgiServer(RecordingAnswer()).listening(Listener(fileno=os.dup(first.fileno()))) as address:
            assert address == path
            assert await asked_as(path, STRANGER, STRANGER) == b""
            assert b"SET VARIABLE" in await asked_as(path, STRANGER, GROUP)


@as_root
async def test_without_the_sockets_file_no_group_may_connect(tmp_path, logged):
    path = tmp_path / "agi.sock"
    async with FastAgiServer(RecordingAnswer()).listening(path):
        kept = path.with_name("kept")
        path.rename(kept)
        assert await asked_as(kept, STRANGER, GROUP) == b""


@pytest.mark.parametrize("kind", ["file", "no folder"])
async def test_a_path_that_cannot_be_used_is_named(kind, tmp_path):
    path = tmp_path / "agi.sock" if kind == "file" else tmp_path / "absent" / "agi.sock"
    if kind == "file":
        path.write_text("precious")
    with pytest.raises(AgiError, match=f"agi.listen: {path}"):
        async with FastAgiServer(RecordingAnswer()).listening(path):
            pass
    assert kind != "file" or path.read_text() == "precious"


async def test_without_file_descriptors_it_waits_and_continues(logged, monkeypatch):
    accept, refused = socket.socket.accept, []

    def out_of_files(listener: socket.socket) -> object:
        if not refused:
            refused.append(1)
            raise OSError(24, "Too many open files")
        return accept(listener)

    async with serving(RecordingAnswer()) as address:
        monkeypatch.setattr(socket.socket, "accept", out_of_files)
        async with calling(address, presented()) as asterisk:
            await asterisk.serve()
    assert asterisk.variables
    assert closed_for(logged) == ["it could not be accepted: Too many open files"]


async def test_a_stop_still_answers_connections_from_before_it(logged):
    asked = RecordingAnswer()
    with socket.socket() as late:
        async with serving(asked) as address:
            late.connect(address)  # before the event loop has noticed it
            late.sendall(presented() + b"200 result=0\n200 result=1\n200 result=1\n")
        assert late.recv(1000).startswith(b"NOOP\nSET VARIABLE")
    assert asked.requests


async def test_at_a_stop_the_oldest_queued_connections_are_closed_first(logged):
    asked = RecordingAnswer()
    with ExitStack() as stack:
        async with serving(asked, Limits(waiting=2, drain_s=0.2)) as address:
            late = [
                stack.enter_context(socket.create_connection(address)) for _ in range(5)
            ]  # the server has not accepted any of them yet
            late[-1].sendall(OBEDIENT)
        assert [each.recv(1000) for each in late[:4]] == [b""] * 4
        assert late[-1].recv(1000).startswith(b"NOOP\nSET VARIABLE")
    assert len(asked.requests) == 1
    reason = "it had not presented a call, and a newer one needed its place"
    assert set(closed_for(logged)) == {
        reason, f"{reason} (2 times more within 10 s)", "it had not presented a call when the service stopped",
    }  # fmt: skip
