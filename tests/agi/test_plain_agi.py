"""The relay between a program's two pipes and the service, used by a fake Asterisk that misbehaves."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from idtone.agi import plain_agi
from idtone.agi.environment import AgiRequest, write_fields
from idtone.agi.plain_agi import Relay
from idtone.agi.plain_agi_command import relay_request
from idtone.agi.server import FastAgiServer
from idtone.core.errors import AgiError, UsageError
from lab.agi.fake_asterisk import CALL, FakeAsterisk, RecordingAnswer, run_over_pipes

CALLED = "0312345678"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agi.sock"


@asynccontextmanager
async def listening(path: Path, commands: bytes) -> AsyncIterator[list[bytes]]:
    """Context in which another program listens at the service's address; yields the octets that it receives."""
    received: list[bytes] = []

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\n\n"))
        writer.write(commands)
        received.append(await reader.read())
        writer.close()

    async with await asyncio.start_unix_server(attend, path):
        yield received


async def relayed(
    path: Path, *arguments: str, environment: bytes = write_fields(CALL), instead: dict[str, bytes] | None = None
) -> FakeAsterisk:
    """Run the relay to its end. Raises the relay's exception, with the conversation in a note."""
    async with run_over_pipes() as (asterisk, output_of_asterisk, output):
        asterisk.instead |= instead or {}
        asterisk.write(environment)
        reading = asyncio.create_task(asterisk.serve())
        try:
            await Relay(output_of_asterisk, output).run("decide", arguments, path)
        finally:
            os.close(output)
            await reading
            logged.extend(line for line in asterisk.commands if line.startswith("EXEC"))
        return asterisk


logged: list[str] = []
"""Messages that the relay asked Asterisk to log."""


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    logged.clear()


def value(text: str) -> bytes:
    """Asterisk's response to GET FULL VARIABLE."""
    return b"200 result=1 (=%s)\n" % quote(text, safe="").encode()


async def test_request_and_answer(path):
    """A variable holds one or several arguments. The arguments in Asterisk's AGI environment are ignored."""
    asked = RecordingAnswer()
    instead = {
        'GET FULL VARIABLE "=${URIENCODE(${CALLED})}"': value(f"{CALLED} 日本\\"),
        'GET FULL VARIABLE "=${URIENCODE(${ASKED})}"': value(f"n-1,{CALLED},,a%2Cb,"),
    }
    environment = write_fields(CALL | {"agi_arg_1": b"agi", "agi_arg_2": b"decide"})
    async with FastAgiServer(asked).listening(path):
        asterisk = await relayed(
            path, "c-1", "variable:CALLED", "日本", "variable:ASKED", environment=environment, instead=instead
        )
    arguments = ("c-1", f"{CALLED} 日本\\", "日本", "n-1", CALLED, "", "a%2Cb", "")
    assert asked.requests == [AgiRequest("decide", arguments, CALL["agi_uniqueid"].decode())]
    assert list(asterisk.variables.items()) == [("IDTONE_OUTCOME", 'PLAY "x" \\'), ("IDTONE_NONCE", "n-1")]
    assert not logged


REFUSED = {
    "the environment does not end with a blank line; only Asterisk can run this program, with AGI()": {
        "environment": 20000 * b"x"
    },
    "line 14 of the environment is not agi_rdnis": {
        "environment": write_fields(CALL | {"agi_dnid": b"0312345678\nagi_dnid: x"})
    },
    "Asterisk's response is malformed": {"environment": write_fields(CALL) + b"agi_calleridname: x\n"},
    "Asterisk's response is too long": {"instead": {"NOOP": 20000 * b"x"}},
    "Asterisk did not execute a command": {"instead": {"NOOP": b"200 result=1\n"}},
    "Asterisk refused a command (code 510)": {"arguments": ["variable:CALLED"]},
    "the channel variable CALLED cannot be read": {
        "arguments": ["variable:CALLED"], "instead": {"GET": b"200 result=1 (0312345678)\n"}
    },
    "the name of a channel variable must follow variable:": {"arguments": ["variable:SHELL(id)"]},
    "agi_arg_1 contains a control character": {"arguments": ["variable:A"], "instead": {"GET": value("x\t")}},
    "agi_arg_2 is not UTF-8": {"arguments": ["c-1", "\udcff"]},
    "an argument contains a line break": {
        "arguments": ["variable:A"], "instead": {"GET": value("x\nagi_arg_2: 0312345678")}
    },
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
async def test_an_invalid_request_never_reaches_the_service(reason, path):
    case = dict(REFUSED[reason])
    arguments = case.pop("arguments", [])
    asked = RecordingAnswer()
    async with FastAgiServer(asked).listening(path):
        with pytest.raises(AgiError) as caught:
            await relayed(path, *arguments, **case)
    assert str(caught.value) == reason
    assert logged == [f'EXEC "Log" "WARNING,idtone-agi: {reason}"']
    assert not asked.requests


FOREIGN = [
    b'EXEC "System" "id"\n', b'SET VARIABLE "SHELL(id)" "x"\n', b'SET VARIABLE "A" "x" "y"\n',
    b'SET VARIABLE "A" "x\\n"\n', b'SET VARIABLE "A" "x"y"\n', b'SET VARIABLE "A" "x\x00"\n', b'NOOP "x"\n',
    b'set variable "A" "x"\n', 20000 * b"N" + b"\n",
]  # fmt: skip


@pytest.mark.parametrize("command", FOREIGN, ids=lambda command: repr(command[:24]))
async def test_another_program_at_the_address_cannot_make_asterisk_execute_a_command(command, path):
    async with listening(path, command) as received:
        with pytest.raises(AgiError, match=r"is not the service|the connection to the service broke"):
            await relayed(path)
    assert len(logged) == 1
    assert received[1:] == [b""], "it must not get a response to the command"


async def test_a_malformed_response_is_not_passed_on(path):
    async with listening(path, b'SET VARIABLE "A" "x"\n') as received:
        with pytest.raises(AgiError, match="Asterisk's response is malformed"):
            await relayed(path, instead={"SET VARIABLE": b"agi_rdnis: 0312345678\n"})
    assert received[1:] == [b""]


async def test_there_is_a_deadline(path, monkeypatch):
    monkeypatch.setattr(plain_agi, "DEADLINE_S", 0.2)
    started_s = time.monotonic()
    async with listening(path, b""):
        with pytest.raises(AgiError, match=r"no answer within 0.2 s"):
            await relayed(path)
    assert time.monotonic() - started_s < 30
    assert logged == ['EXEC "Log" "WARNING,idtone-agi: no answer within 0.2 s"']


async def test_a_service_that_is_down_is_named(path):
    with pytest.raises(AgiError, match=r"does not listen at agi.listen: No such file or directory"):
        await relayed(path)
    assert len(logged) == 1


@pytest.mark.parametrize("dead", [b"511 Command Not Permitted on a dead channel or intercept routine\n", b""])
async def test_a_hangup_is_not_an_error(dead, path):
    asked = RecordingAnswer()
    async with FastAgiServer(asked).listening(path), run_over_pipes() as (asterisk, output_of_asterisk, output):
        asterisk.write(write_fields(CALL))
        relaying = asyncio.create_task(Relay(output_of_asterisk, output).run("decide", ["variable:A"], path))
        assert await asterisk.reader.readline() == b"NOOP\n"
        if dead:
            asterisk.write(dead)
        else:
            output_of_asterisk.feed_eof()
        await relaying
    assert not asked.requests


@pytest.mark.parametrize("number", ["", CALLED, "+81312345678", "81312345678", "09012345678"])
def test_only_asterisk_runs_it_and_without_a_number_on_its_command_line(number, monkeypatch):
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as pipe, open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", pipe if number else nothing)
        with pytest.raises(UsageError) as error:
            relay_request("unix:/run/idtone/agi.sock", "decide", "c-1", *[number] * bool(number))
    said = str(error.value)
    if number:
        assert said.startswith("telephone numbers must not be on a command line")
        assert number not in said
    else:
        assert said == "only Asterisk can run this command, with AGI()"


def test_a_hook_without_the_socket_is_named(monkeypatch):
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        with pytest.raises(UsageError, match=r"^decide is not the socket of the service; run `idtone dialplan export`"):
            relay_request("decide", "c-1")
