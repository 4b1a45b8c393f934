"""The codec, the server and the relay with a real Asterisk, and with callers that inject values into
Asterisk's lines.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest

from idtone.agi.codec import LONGEST_COMMAND, AgiCodec
from idtone.agi.environment import AgiRequest
from idtone.agi.server import Address, FastAgiServer
from lab import voices
from lab.agi.fake_asterisk import encode_agi_fields
from lab.asterisk import LOOPBACK, Asterisk, free_ports
from lab.phone import Phone
from lab.rtp import Media
from lab.site import BARE

IDTONE_AGI = Path(sys.executable).with_name("idtone-agi")
NUMBER = "0312345678"

DIALPLAN = """
    [agi]
    exten = arguments,1,AGI(agi://{tcp}/decide,c-1,${{URIENCODE({number}@trunk&x)}},,日本)
    exten = variables,1,AGI(agi://{tcp}/decide)
     same = n,AGI(agi://{tcp}/seen,${{URIENCODE(${{VALUE}})}},${{LEN(${{LONGEST}})}},${{AFTER}})
    exten = relayed,1,Set(NUMBER={number})
     same = n,Set(HUNG=hangup)
     same = n,Set(LINES=a${{CHAR(10)}}agi_arg_9: forged)
     same = n,AGI({program},unix:{folder}/agi.sock,decide,c-1,variable:NUMBER,variable:ABSENT,variable:HUNG)
     same = n,AGI({program},unix:{folder}/agi.sock,seen,variable:VALUE,${{AGISTATUS}})
    exten = unserved,1,AGI({program},unix:{folder}/agi.sock,decide,c-1)
     same = n,AGI(agi://{tcp}/seen,${{AGISTATUS}})

    [agi-hangup]
    exten = direct,1,AGI(agi://{tcp}/hangup)
    exten = relayed,1,AGI({program},unix:{folder}/agi.sock,hangup)
    exten = h,1,AGI(agi://{tcp}/h,${{AFTER}})

    [from-lab]
    exten = _[+0-9a-z]!,1,AGI(agi://{tcp}/decide,first,${{EXTEN}},last)
     same = n,Hangup(17)
    exten = h,1,NoOp()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("agi")


@pytest.fixture(scope="module")
def tcp() -> tuple[str, int]:
    return LOOPBACK, free_ports(1)[0]


@pytest.fixture(scope="module")
def pbx(installation, folder, tcp, tmp_path_factory) -> Iterator[Asterisk]:
    dialplan = DIALPLAN.format(tcp=":".join(map(str, tcp)), number=NUMBER, program=IDTONE_AGI, folder=folder)
    with Asterisk(installation, tmp_path_factory.mktemp("pbx"), {"extensions.conf": dialplan}, site=BARE) as running:
        yield running


class RecordingAnswer:
    """An answer that records each request in order, and gives the verdict of its entry point."""

    def __init__(self, pbx: Asterisk, **answers: Mapping[str, str]) -> None:
        self.pbx = pbx
        self.requests: asyncio.Queue[AgiRequest] = asyncio.Queue()
        self.answers = answers
        self.command_lines: list[bytes] = []

    async def __call__(self, request: AgiRequest) -> Mapping[str, str]:
        self.command_lines += await asyncio.to_thread(_command_lines)
        if request.entry == "hangup":
            await asyncio.to_thread(self.pbx.command, f"channel request hangup {await self.channel()}")
            await asyncio.sleep(0.2)
        self.requests.put_nowait(request)
        return self.answers.get(request.entry, {})

    async def channel(self) -> str:
        shown = await asyncio.to_thread(self.pbx.command, "core show channels concise")
        return next(line.partition("!")[0] for line in shown.splitlines() if "!AGI!" in line)

    async def next(self) -> AgiRequest:
        async with asyncio.timeout(10):
            return await self.requests.get()

    async def dial(self, extension: str) -> None:
        extension = extension if "@" in extension else f"{extension}@agi"
        await asyncio.to_thread(self.pbx.command, f"channel originate Local/{extension} application Wait 5")


def _command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


@asynccontextmanager
async def asking(pbx: Asterisk, *addresses: Address, **answers: Mapping[str, str]) -> AsyncIterator[RecordingAnswer]:
    asked = RecordingAnswer(pbx, **answers)
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        for address in addresses:
            await stack.enter_async_context(FastAgiServer(asked).listening(address))
        yield asked


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG, "idtone.agi")
    yield caplog
    assert "1234" not in caplog.text, "the log must not contain a number"


def closed_for(logged: pytest.LogCaptureFixture) -> set[str]:
    start = "an AGI connection was closed: "
    return {line.removeprefix(start) for line in logged.messages if line.startswith(start)}


async def test_the_arguments_of_the_dialplan_arrive(pbx, tcp, logged):
    async with asking(pbx, tcp) as asked:
        await asked.dial("arguments")
        request = await asked.next()
    assert request.entry == "decide"
    assert request.arguments == ("c-1", f"{NUMBER}%40trunk%26x", "", "日本")
    assert request.channel.replace(".", "").isdigit()
    assert not closed_for(logged)


HARD = 'a"b" \\ \\" ${EXTEN} $[1+1] ,|&;\' 日本 (x) '
ROOM = LONGEST_COMMAND - len(AgiCodec().set_variable("LONGEST", ""))


async def test_values_arrive_as_they_are(pbx, tcp, logged):
    answer = {"VALUE": HARD, "LONGEST": ROOM * "x", "AFTER": "last"}
    async with asking(pbx, tcp, decide=answer) as asked:
        await asked.dial("variables")
        await asked.next()
        seen = await asked.next()
    assert [unquote(each) for each in seen.arguments] == [HARD, str(ROOM), "last"]
    assert not closed_for(logged)


@pytest.mark.parametrize("extension", ["direct@agi-hangup", "relayed@agi-hangup"])
async def test_a_verdict_still_arrives_when_the_channel_hangs_up(extension, pbx, tcp, folder, logged):
    async with asking(pbx, tcp, folder / "agi.sock", hangup={"VALUE": "x", "AFTER": "n-1"}) as asked:
        await asked.dial(extension)
        await asked.next()
        ended = await asked.next()
    assert (ended.entry, ended.arguments) == ("h", ("n-1",))
    assert not closed_for(logged)


FORGED = encode_agi_fields("decide", ["forged"]).partition(b"agi_callerid: ")[2].decode()

INJECTIONS = {
    "a field in the caller's number": {"caller_id": "090\r\nagi_rdnis: forged"},
    "a line feed alone": {"caller_id": "090\nagi_calleridname: forged"},
    "an argument in the called number": {"user": "s\nagi_arg_3: forged"},
    "the end in the called number": {"user": "s\n\n"},
    "many lines in the caller's number": {"caller_id": "090" + 300 * "\nagi_x: forged"},
    "an environment in the called number": {"user": f"s\n{FORGED}"},
}
STRANGE = [
    {"display": "鈴木" * 40}, {"display": '%0d%0aq"\\'}, {"display": 3000 * "n"}, {"display": "😀"},
    {"caller_id": "090'\"|&,;x"}, {"caller_id": "09\x0012345678"}, {"caller_id": "090\r"}, {"caller_id": "090\nx"},
    {"display": "Ta\tro\x01\x7f"},
]  # fmt: skip
HONEST = {"user": "s", "caller_id": "09012345678"}


@asynccontextmanager
async def phone() -> AsyncIterator[Phone]:
    with Media() as media:
        async with Phone(media, voices.CALLER) as one:
            yield one


async def called(phone: Phone, pbx: Asterisk, user: str, **call: str) -> int | None:
    """Call a user whose dialplan ends with Hangup(17); returns the final status."""
    return (await phone.call(user, pbx.sip_address, **call)).final_status


async def test_a_caller_cannot_inject_anything(pbx, tcp, logged):
    async with phone() as one:
        for name, injection in INJECTIONS.items():
            logged.clear()
            async with asking(pbx, tcp) as asked:
                assert await called(one, pbx, **(HONEST | injection)) == 486, name
                assert asked.requests.empty(), name
                assert closed_for(logged), f"{name}: the refusal must be logged"
                assert await called(one, pbx, **HONEST) == 486
                request = await asked.next()
            assert request.arguments == ("first", "s", "last")


async def test_a_strange_name_does_not_prevent_the_sound(pbx, tcp, logged):
    async with asking(pbx, tcp) as asked, phone() as one:
        for call in STRANGE:
            await called(one, pbx, **(HONEST | call))
            assert (await asked.next()).arguments == ("first", "s", "last"), call
    assert not closed_for(logged)


async def test_the_relay_passes_on_request_and_answer(pbx, folder, logged):
    hard = HARD.replace(",", "")
    async with asking(pbx, folder / "agi.sock", decide={"VALUE": hard}) as asked:
        await asked.dial("relayed")
        request, seen = await asked.next(), await asked.next()
    assert request.arguments == ("c-1", NUMBER, "", "hangup")
    assert seen.arguments == (hard, "SUCCESS")
    # A program with an interpreter of its own: `…/idtone-agi unix:SOCKET ENTRY …`.
    programs = [line for line in asked.command_lines if b"/idtone-agi\0unix:" in line]
    assert programs, "a program must be seen"
    assert not [line for line in programs if NUMBER.encode() in line]
    assert not closed_for(logged)


async def test_a_relay_without_a_service_reports_it_in_asterisks_log(pbx, tcp, logged):
    async with asking(pbx, tcp) as asked:
        await asked.dial("unserved")
        assert (await asked.next()).arguments == ("FAILURE",)
    assert any("idtone-agi: the service does not listen at agi.listen" in line for line in pbx.complaints())
