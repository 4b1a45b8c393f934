"""The FastAGI server over real sockets, with peers that misbehave."""

import asyncio
import logging
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from idtone.agi.environment import AgiRequest
from idtone.agi.server import Answer, FastAgiServer, Limits, Listener, bound_to
from idtone.core.errors import AgiError, LedgerError
from lab.agi.ask_as_other_user import STRANGER, ask_as
from lab.agi.fake_asterisk import FakeAsterisk, RecordingAnswer, connect_as_asterisk, encode_agi_fields
from lab.lab import wait_until

PATIENT = Limits(presented_s=60, response_s=60, whole_s=60, drain_s=60, waiting=4, answering=3)
"""Limits that no test reaches, even on a slow machine."""
BRIEF = replace(PATIENT, presented_s=0.3)
"""Limits for tests in which only the presentation takes too long."""
ANYWHERE = ("127.0.0.1", 0)
OBEDIENT = encode_agi_fields() + b"200 result=0\n200 result=1\n200 result=1\n"
"""The octets of a peer that sends its responses without waiting for the commands."""


@asynccontextmanager
async def serving(answer: Answer, limits: Limits = PATIENT) -> AsyncIterator[tuple[str, int]]:
    async with FastAgiServer(answer, limits).listening(ANYWHERE) as address:
        assert not isinstance(address, Path)
        yield address


async def served(
    answer: Answer,
    environment: bytes = encode_agi_fields(),
    limits: Limits = PATIENT,
    instead: Mapping[str, bytes] = {},
) -> FakeAsterisk:
    """Asterisk's side of a connection to a server, from its beginning to its end."""
    async with serving(answer, limits) as address, connect_as_asterisk(address, environment) as asterisk:
        asterisk.instead |= instead
        await asterisk.serve()
    return asterisk


@pytest.fixture
def asked() -> RecordingAnswer:
    return RecordingAnswer()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "idtone.agi")
    return caplog


def closed_for(logged: pytest.LogCaptureFixture) -> list[str]:
    """The reasons in the log. Only the first message of each reason appears, because the log is throttled."""
    assert "1234" not in logged.text, "the log must not contain a number"
    start = "an AGI connection was closed: "
    return [line.removeprefix(start) for line in logged.messages if line.startswith(start)]


async def test_an_answer_becomes_variables_in_order(asked, logged):
    asterisk = await served(asked, encode_agi_fields("decide", ["0312345678"]))
    assert asterisk.commands[0] == "NOOP"
    assert list(asterisk.variables.items()) == [("IDTONE_OUTCOME", 'PLAY "x" \\'), ("IDTONE_NONCE", "n-1")]
    assert asked.requests == [AgiRequest("decide", ("0312345678",), "1795597718.1")]
    assert not closed_for(logged)


FORGED = encode_agi_fields("decide", ["forged"]).partition(b"agi_calleridname: ")[2]
LATE = "it had not presented a call within 0.3 s"
NOT_ASTERISK = [
    ("line 16 of the environment is not agi_rdnis", encode_agi_fields().replace(b"agi_rdnis: unknown\n", b"")),
    ("agi_uniqueid contains a control character", encode_agi_fields(agi_uniqueid=b"1795597718.1\r")),
    ("the environment is longer than 16384 octets", 20000 * b"x"),
    ("Asterisk's response is malformed", encode_agi_fields() + b"agi_calleridname: x\n"),
    # The name contains a complete, valid environment. But then the rest of the true one follows.
    ("Asterisk's response is malformed", encode_agi_fields("decide", ["true"], agi_calleridname=FORGED)),
    ("Asterisk refused a command (code 510)", encode_agi_fields() + b"510 Invalid or unknown command\n"),
    ("Asterisk did not execute a command", encode_agi_fields() + b"200 result=1\n"),
    (LATE, encode_agi_fields()[:-1]),
    ("Asterisk's response is too long", encode_agi_fields() + 20000 * b"2"),
    ("", encode_agi_fields() + b"511 Command Not Permitted\n"),  # the channel hung up meanwhile
]


@pytest.mark.parametrize(("reason", "environment"), NOT_ASTERISK, ids=lambda text: text[:50])
async def test_a_peer_that_is_not_asterisk_is_never_answered(asked, logged, reason, environment):
    asterisk = await served(asked, environment, BRIEF if reason == LATE else PATIENT)
    assert closed_for(logged) == [reason] * bool(reason)
    assert not asked.requests
    assert not asterisk.variables


async def test_a_peer_that_leaves_is_logged_and_of_an_answer_that_cannot_be_set_no_variable_is(asked, logged):
    async with serving(asked) as address:
        async with connect_as_asterisk(address, b"agi_network: yes\n"):
            pass
        await wait_until(lambda: closed_for(logged), "the server to notice it")
        assert closed_for(logged) == ["it ended before it presented a call"]

    async def answer(_: AgiRequest) -> Mapping[str, str]:
        return {"A": "x", "B": "y\nSET VARIABLE C z"}

    assert (await served(answer)).commands == ["NOOP"]
    assert closed_for(logged)[-1] == "SET VARIABLE: an argument contains a control character"


@pytest.mark.parametrize(
    ("limited", "takes_s", "silent", "reason"),
    [
        ("presented_s", 0, "NOOP", LATE),
        ("response_s", 0, "SET VARIABLE", "Asterisk had not answered within 0.3 s"),
        ("whole_s", 60, "", "it had not ended within 0.3 s"),
    ],
)
async def test_each_part_of_a_connection_has_limited_time(logged, limited, takes_s, silent, reason):
    """Only this part has a short limit, so that a slow machine does not exceed the others."""
    answer, started_s = RecordingAnswer(takes_s=takes_s), time.monotonic()
    asterisk = await served(answer, limits=replace(PATIENT, **{limited: 0.3}), instead={silent: b""} if silent else {})
    assert 0.25 < time.monotonic() - started_s < 60
    assert not asterisk.variables
    assert len(answer.requests) == (silent != "NOOP")
    assert closed_for(logged) == [reason]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (AgiError("decide wants two arguments"), "an AGI connection was closed: decide wants two arguments"),
        (LedgerError("the disk is full"), "decide, channel 1795597718.1: no answer: the disk is full"),
        (
            RuntimeError("a fault of ours"),
            "decide, channel 1795597718.1: no answer: RuntimeError; report this as a fault of idtone",
        ),
        (TimeoutError(), "decide, channel 1795597718.1: no answer: TimeoutError"),
        (ConnectionError(), "decide, channel 1795597718.1: no answer: ConnectionError"),
    ],
)
async def test_an_answer_that_fails_sets_nothing(logged, error, line):
    assert (await served(RecordingAnswer(error))).commands == ["NOOP"]
    assert logged.messages == [line]
    assert ("Traceback" in logged.text) is isinstance(error, RuntimeError)


DEAD = b"511 Command Not Permitted on a dead channel or intercept routine\n"


@pytest.mark.parametrize(
    ("instead", "commands", "reasons"),
    [
        ({"NOOP": b"HANGUP\n200 result=0\n"}, 3, []),  # Asterisk still sets variables
        ({"SET VARIABLE": b"HANGUP\n200 result=1\n"}, 3, []),
        ({"NOOP": b"HANGUP\nHANGUP\n200 result=0\n"}, 1, ["Asterisk's response is malformed"]),  # it hangs up once
        ({"SET VARIABLE": DEAD}, 2, []),  # no further variable may be set
    ],
)
async def test_a_hangup(asked, logged, instead, commands, reasons):
    asterisk = await served(asked, instead=instead)
    assert len(asterisk.commands) == commands
    assert ("IDTONE_NONCE" in asterisk.variables) is (commands == 3)
    assert closed_for(logged) == reasons


async def test_a_connection_that_breaks_meanwhile_is_not_an_error(logged):
    asked = RecordingAnswer()
    asked.may_end.clear()
    async with serving(asked) as address:
        async with connect_as_asterisk(address, encode_agi_fields()) as asterisk:
            assert await asterisk.reader.readline() == b"NOOP\n"
            asterisk.write(b"200 result=0\n")
            await wait_until(lambda: asked.requests, "the request")
        await asyncio.sleep(0.05)
        asked.may_end.set()
        await wait_until(lambda: logged.messages, "the server to notice it")
    assert logged.messages == ["decide, channel 1795597718.1: it hung up meanwhile"]


# -- how many connections ---------------------------------------------------------------------------------------------

CROWDED = "it had not presented a call, and a newer one needed its place"


@pytest.mark.parametrize("mute_behind", [b"a", encode_agi_fields()], ids=["nothing", "an environment"])
async def test_the_oldest_connection_is_closed_for_a_new_one(asked, logged, mute_behind):
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(asked, PATIENT))
        slow = []
        for _ in range(6):
            slow.append(await stack.enter_async_context(connect_as_asterisk(address, mute_behind)))
            await asyncio.sleep(0.02)
        honest = await stack.enter_async_context(connect_as_asterisk(address, encode_agi_fields()))
        await honest.serve()
        assert honest.variables
        ends = [asyncio.create_task(each.reader.read()) for each in slow]
        await wait_until(lambda: sum(end.done() for end in ends) >= 3, "three to be closed")
        assert [end.done() for end in ends] == [True, True, True, False, False, False]
        assert closed_for(logged) == [CROWDED]
    assert f"{CROWDED} (2 times more within 10 s)" in closed_for(logged)


@pytest.mark.parametrize(
    ("first", "then", "others"),
    [(encode_agi_fields(), b"", b"a"), (encode_agi_fields()[:99], encode_agi_fields()[99:], encode_agi_fields())],
    ids=["presented", "presenting"],
)
async def test_an_honest_connection_is_not_closed_for_connections_of_the_other_kind(asked, first, then, others):
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(asked, PATIENT))
        honest = await stack.enter_async_context(connect_as_asterisk(address, first))
        for _ in range(9):
            await stack.enter_async_context(connect_as_asterisk(address, others))
            await asyncio.sleep(0.01)
        honest.write(then)
        await honest.serve()
    assert honest.variables


async def test_each_connection_has_the_same_time(asked, logged):
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(asked, BRIEF))
        for start in (b"a", encode_agi_fields(), b"a"):
            slow = await stack.enter_async_context(connect_as_asterisk(address, start))
            await asyncio.sleep(0.1)
        await asyncio.wait_for(slow.reader.read(), 30)
        assert closed_for(logged) == [LATE]
    assert f"{LATE} (2 times more within 10 s)" in closed_for(logged)


async def test_the_number_of_simultaneous_answers_is_limited(logged):
    asked = RecordingAnswer()
    asked.may_end.clear()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(asked))
        callers = [await stack.enter_async_context(connect_as_asterisk(address, encode_agi_fields())) for _ in range(4)]
        ends = [asyncio.create_task(each.serve()) for each in callers]
        await wait_until(lambda: closed_for(logged), "one to be refused")
        asked.may_end.set()
        await asyncio.gather(*ends)
    assert sorted(len(each.variables) for each in callers) == [0, 2, 2, 2]
    assert len(asked.requests) == 3
    assert closed_for(logged) == ["the server is already answering 3 calls"]


# -- a stop -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("takes_s", "limits", "variables", "reasons"),
    [(0.2, PATIENT, 2, []), (60, replace(PATIENT, drain_s=0.2), 0, ["it had not ended when the service stopped"])],
)
async def test_a_stop_waits_for_answers_for_a_limited_time(logged, takes_s, limits, variables, reasons):
    async with AsyncExitStack() as stack:
        started_s = time.monotonic()
        answer = RecordingAnswer(takes_s=takes_s)
        async with serving(answer, limits) as address:
            asterisk = await stack.enter_async_context(connect_as_asterisk(address, encode_agi_fields()))
            reading = asyncio.create_task(asterisk.serve())
            await wait_until(lambda: answer.requests, "the request")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await reading
    assert time.monotonic() - started_s < 30
    assert len(asterisk.variables) == variables
    assert closed_for(logged) == reasons


async def test_at_a_stop_the_oldest_queued_connections_are_closed_first_and_the_latest_answered(asked, logged):
    with ExitStack() as stack:
        async with serving(asked, replace(PATIENT, waiting=2, drain_s=2.0)) as address:
            late = [
                stack.enter_context(socket.create_connection(address)) for _ in range(5)
            ]  # the server has not accepted any of them yet
            late[-1].sendall(OBEDIENT)
        assert [each.recv(1000) for each in late[:4]] == [b""] * 4
        assert late[-1].recv(1000).startswith(b"NOOP\nSET VARIABLE")
    assert len(asked.requests) == 1
    assert set(closed_for(logged)) == {
        CROWDED,
        f"{CROWDED} (2 times more within 10 s)",
        "it had not presented a call when the service stopped",
    }


# -- addresses --------------------------------------------------------------------------------------------------------


async def test_an_address_that_cannot_be_used_is_named(tmp_path):
    file = tmp_path / "agi.sock"
    file.write_text("precious")
    async with serving(RecordingAnswer()) as taken:
        for address, named in (
            (taken, f"127.0.0.1, port {taken[1]}: Address already in use"),
            (file, str(file)),
            (tmp_path / "absent" / "agi.sock", f"{tmp_path}/absent/agi.sock"),
        ):
            with pytest.raises(AgiError, match=f"agi.listen: {named}"):
                async with FastAgiServer(RecordingAnswer()).listening(address):
                    pass
    assert file.read_text() == "precious"


async def test_a_unix_socket_replaces_a_stale_one_and_the_next_instance_takes_it_and_keeps_it(tmp_path):
    path = tmp_path / "agi.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(path))
    async with AsyncExitStack() as stack:
        async with FastAgiServer(RecordingAnswer()).listening(path) as address:
            assert address == path
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            path.rename(path.with_suffix(".old"))  # as if another process had made it
            await stack.enter_async_context(FastAgiServer(RecordingAnswer()).listening(path))
        async with connect_as_asterisk(path, encode_agi_fields()) as asterisk:
            await asterisk.serve()
    assert asterisk.variables
    assert os.listdir(tmp_path) == ["agi.old"]


GROUP = STRANGER + 1

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user; run this test as root")


async def may_ask(path: Path, user: int, *groups: int) -> bool:
    """True if the socket answers this user. Otherwise it must send nothing. The socket has a group of its own."""
    os.chown(path, -1, GROUP)
    said = await asyncio.to_thread(ask_as, path, user, groups, OBEDIENT)
    assert said == b"" or b"SET VARIABLE" in said
    return bool(said)


@as_root
@pytest.mark.parametrize("handed_over", [False, True])
async def test_only_the_service_itself_and_members_of_the_sockets_group_may_connect(
    asked, tmp_path, logged, monkeypatch, handed_over
):
    path = tmp_path / "agi.sock"
    reason = f"user {STRANGER} may not connect; add this user to the group of {path}"
    with ExitStack() as stack:
        listener = Listener(fileno=os.dup(stack.enter_context(bound_to(path)).fileno())) if handed_over else path
        async with FastAgiServer(asked).listening(listener) as address:
            assert address == path
            for _ in range(3):
                assert not await may_ask(path, STRANGER, STRANGER, GROUP + 1)
            assert closed_for(logged) == [reason]
            for groups in ((GROUP,), (STRANGER, *range(1000, 1100), GROUP)):
                assert await may_ask(path, STRANGER, *groups), len(groups)
            monkeypatch.setattr("os.geteuid", lambda: STRANGER)
            assert await may_ask(path, STRANGER, STRANGER)
            kept = path.with_name("kept")
            path.rename(kept)
            assert not await may_ask(kept, STRANGER + 5, GROUP), "without the socket's file no group may connect"
            kept.rename(path)
    assert len(asked.requests) == 3


async def test_without_file_descriptors_it_waits_and_continues(asked, logged, monkeypatch):
    accept, refused = socket.socket.accept, []

    def out_of_files(listener: socket.socket) -> object:
        if not refused:
            refused.append(1)
            raise OSError(24, "Too many open files")
        return accept(listener)

    async with serving(asked) as address:
        monkeypatch.setattr(socket.socket, "accept", out_of_files)
        async with connect_as_asterisk(address, encode_agi_fields()) as asterisk:
            await asterisk.serve()
    assert asterisk.variables
    assert closed_for(logged) == ["it could not be accepted: Too many open files"]
