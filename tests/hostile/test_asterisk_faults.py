"""Faults of Asterisk that idtone works around, reproduced as in docs/explanation/asterisk-faults.md.

A test fails on an Asterisk that has fixed the fault. Then note the version on the page. Remove the workaround when no
supported version needs it any more.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest

from lab.asterisk import Asterisk
from lab.hostile.raw_sip import Attacker, Parts
from lab.lab import Forwarding, lab, wait_until
from lab.processes import open_files
from lab.site import Site

pytestmark = pytest.mark.breadth  # no change here mends or makes such a fault
PASSES, KILLS = 491_000, 493_000
"""Octets of an answer over the WebSocket: a length that Asterisk survives, and one that crashes it. It survives 491,842
(22.10.1, x86-64).
"""
PLAIN: Final = Site(time_zone="Asia/Tokyo", users="root", registry="unsigned", idle_channels=0)
CALLED: Final = b"0312345678"
DIALPLAN: Final = """
#include idtone.conf
[from-lab]
exten = _[0-9]!,1,Stasis(faults)
 same = n,Hangup()
exten = now,1,Set(NOW=${EPOCH})
 same = n,Set(GLOBAL(OFF_UTC)=$[${STRFTIME(${NOW},UTC,%s)} - ${NOW}])
 same = n,Set(GLOBAL(OFF_TOKYO)=$[${STRFTIME(${NOW},Asia/Tokyo,%s)} - ${NOW}])
 same = n,Set(FIELDS=${STRFTIME(${NOW},UTC,%Y-%m-%d %H:%M:%S)})
 same = n,Set(GLOBAL(OFF_FIELDS)=$[${STRPTIME(${FIELDS},UTC,%Y-%m-%d %H:%M:%S)} - ${NOW}])
exten = asks,1,Dial(Local/answers@from-lab,,U(asked))
exten = answers,1,Answer()
 same = n,Wait(30)
exten = waits,1,Answer()
 same = n,Wait(30)
exten = reads,1,Set(GLOBAL(READ)=${AST_CONFIG(${FILE_READ},entries,first)} ${GLOBAL(READ)})
[asked]
exten = s,1,Set(GLOBAL(ASKED)=$[0${GLOBAL(ASKED)} + 1])
 same = n,Stasis(faults)
 same = n,Return()
"""


class Connection:
    """An ARI application that sends requests over its WebSocket and over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._url = url
        self.socket = socket

    async def over_http(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, str]:
        async with self._session.request(method, f"{self._url}/{path}", params=query, json=body) as answer:
            return answer.status, await answer.text()

    async def over_socket(self, path: str, within_s: float = 60.0, **query: str) -> str:
        """The complete answer; empty if the connection breaks. Raises TimeoutError."""
        await self.socket.send_str(
            json.dumps(
                {
                    "type": "RESTRequest",
                    "request_id": "1",
                    "method": "GET",
                    "uri": path,
                    "query_strings": [{"name": name, "value": value} for name, value in query.items()],
                }
            )
        )
        return await self.next("RESTResponse", within_s)

    async def next(self, kind: str, within_s: float) -> str:
        """The next message of this type; empty if the connection breaks. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.TEXT and json.loads(message.data)["type"] == kind:
                    return str(message.data)
        return ""

    async def has_application(self) -> bool:
        return (await self.over_http("GET", "applications/faults"))[0] == 200


@asynccontextmanager
async def connected(asterisk: Asterisk) -> AsyncIterator[Connection]:
    headers = {"Authorization": aiohttp.encode_basic_auth("idtone", asterisk.ari_password)}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{asterisk.ari_url}/events", params={"app": "faults"}, max_msg_size=2**24) as socket,
    ):
        yield Connection(session, asterisk.ari_url, socket)


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Asterisk]:
    """A PBX in the Japanese time zone."""
    with Asterisk(
        installation, tmp_path_factory.mktemp("faults"), {"extensions.conf": DIALPLAN}, site=PLAIN
    ) as asterisk:
        yield asterisk


async def test_an_answer_over_the_websocket_of_half_a_megabyte_kills_asterisk(installation, tmp_path):
    asterisk = Asterisk(installation, tmp_path, {"extensions.conf": DIALPLAN}, site=PLAIN)
    options = "\n[options]\nlive_dangerously = yes\n"  # a variable of any length: FILE() over ARI
    asterisk.dialplan_files = {**asterisk.dialplan_files, "asterisk.conf": asterisk._files()["asterisk.conf"] + options}
    file = tmp_path / "answer"
    with asterisk:
        async with connected(asterisk) as ari:
            await ari.over_http(
                "POST", "channels/create", endpoint="Local/waits@from-lab", app="faults", channelId="one"
            )

            async def answer(octets: int) -> str:
                file.write_text("")
                rest = len(await ari.over_socket("channels/one/variable", variable=f"FILE({file})"))
                file.write_text("x" * (octets - rest))
                return await ari.over_socket("channels/one/variable", variable=f"FILE({file})")

            assert abs(len(await answer(PASSES)) - PASSES) < 20
            assert asterisk.process
            assert asterisk.process.poll() is None
            assert await answer(KILLS) == ""
            assert asterisk.process.wait(60) == -11  # SIGSEGV


NOT_UTF_8: Final = {
    "Call-ID": (Parts(CALLED), (b"Call-ID: ", b"Call-ID: \xff")),
    "the dialled number": (Parts(CALLED + b"\xff"), ()),
}


@pytest.mark.parametrize(("parts", "instead"), NOT_UTF_8.values(), ids=NOT_UTF_8)
async def test_an_octet_that_is_not_utf_8_hides_the_call_from_ari(pbx, parts, instead):
    """StasisStart is not sent, and ARI cannot list the channels while the call is there."""
    async with connected(pbx) as ari, Attacker() as attacker:

        async def answers(status: int) -> None:
            """ARI's list of channels follows Asterisk's own a moment later."""

            async def met() -> bool:
                return bool((await ari.over_http("GET", "channels"))[0] == status)

            await wait_until(met, f"the answer {status}")

        await answers(200)
        invite = parts.invite(attacker.address, pbx.sip_address)
        if instead:
            invite = invite.replace(*instead)
        calling = asyncio.create_task(attacker.send_invite(invite, pbx.sip_address))
        await wait_until(lambda: pbx.channels() == 1, "the call")
        await answers(500)
        with pytest.raises(TimeoutError):
            await ari.next("StasisStart", 1.0)
        pbx.command("channel request hangup all")
        await calling
        await wait_until(lambda: not pbx.channels(), "its end")
        await answers(200)


async def test_other_texts_of_a_caller_are_cleaned(pbx):
    """Asterisk cleans the display name (from 18.17 and 20.2 on), the caller's number and the diverting number."""
    async with connected(pbx) as ari, Attacker() as attacker:
        parts = Parts(CALLED, b"\xff", b"\xff" * 100, b"\xff")
        calling = asyncio.create_task(
            attacker.send_invite(parts.invite(attacker.address, pbx.sip_address), pbx.sip_address)
        )
        channel = json.loads(await ari.next("StasisStart", 5.0))["channel"]
        assert 0 < len(channel["caller"]["name"].encode()) < 80
        assert channel["caller"]["number"] == ""
        assert "caller_rdnis" not in channel
        pbx.command("channel request hangup all")
        await calling


async def test_what_a_caller_writes_grows_sevenfold_in_an_answer_over_the_websocket(pbx):
    async with connected(pbx) as ari, Attacker() as attacker:
        invite = Parts(CALLED, diverted=b"\x01" * 1000).invite(attacker.address, pbx.sip_address)
        calling = asyncio.create_task(attacker.send_invite(invite, pbx.sip_address))
        channel = json.loads(await ari.next("StasisStart", 5.0))["channel"]
        assert len(channel["caller_rdnis"]) == 1000
        answer = await ari.over_socket(f"channels/{channel['id']}")
        assert answer.count("\\\\u0001") == 1000
        pbx.command("channel request hangup all")
        await calling


async def test_the_seconds_since_the_epoch_are_off_by_the_zone(pbx):
    """STRFTIME(…,ZONE,%s) is off by the difference between the process's time zone and ZONE. Other fields are right."""
    pbx.command("channel originate Local/now@from-lab application NoOp")

    def told() -> dict[str, str]:
        lines = [line.strip().partition("=") for line in pbx.command("dialplan show globals").splitlines()]
        return {name: value for name, _, value in lines if name.startswith("OFF_")}

    await wait_until(lambda: len(told()) == 3, "the dialplan")
    assert told() == {"OFF_UTC": "-32400", "OFF_TOKYO": "0", "OFF_FIELDS": "0"}


async def test_a_file_that_asterisk_is_reading_is_the_one_before_to_other_channels(pbx, tmp_path):
    """AST_CONFIG() returns the previous file to the other channels, even a very old one."""
    path = tmp_path / "read.conf"
    pbx.command(f"dialplan set global FILE_READ {path}")

    def read() -> list[str]:
        """The values that all channels have read so far, the latest first."""
        lines = [line.strip().partition("=") for line in pbx.command("dialplan show globals").splitlines()]
        return next((value.split() for name, _, value in lines if name == "READ"), [])

    def write(first: str) -> None:
        entries = "".join(f"{index} = x\n" for index in range(200_000))
        path.with_suffix(".next").write_text(f"[entries]\nfirst = {first}\n{entries}")
        path.with_suffix(".next").rename(path)

    async def reads(channels: int) -> None:
        already = len(read())
        for _ in range(channels):
            pbx.command("channel originate Local/reads@from-lab application NoOp")
        await wait_until(lambda: len(read()) == already + channels, "the dialplan")

    write("old")
    await reads(1)
    write("new")
    await reads(4)
    await reads(1)
    assert read()[0] == "new"
    assert sorted(set(read()[1:-1])) == ["new", "old"]


async def test_the_filter_of_events_filters_answers(pbx):
    """A request over the WebSocket hangs; over HTTP it does not."""
    async with connected(pbx) as ari:
        assert await ari.over_socket("applications/faults")
        await ari.over_http("PUT", "applications/faults/eventFilter", {"allowed": [{"type": "StasisStart"}]})
        with pytest.raises(TimeoutError):
            await ari.over_socket("applications/faults", within_s=1.0)
        assert (await ari.over_http("GET", "applications/faults"))[0] == 200


async def test_a_call_holds_ten_file_descriptors(installation, tmp_path):
    with Asterisk(installation, tmp_path, site=PLAIN) as asterisk:
        async with lab(asterisk) as phones:
            assert asterisk.process
            await phones.call(Forwarding(way="native"))
            await phones.nothing_is_left()
            before = open_files(asterisk.process.pid)
            placed = [await phones.place(Forwarding(way="native")) for _ in range(5)]
            process = asterisk.process  # a command's connection may be among them
            await wait_until(lambda: round((open_files(process.pid) - before) / 5) == 10, "their descriptors")
            for one in placed:
                await phones.talk_and_hang_up(one)


async def test_continue_inside_a_subroutine_of_dial_runs_its_priority_again(pbx):
    """The channel enters the application a second time, with nothing in between."""
    async with connected(pbx) as ari:
        pbx.command("channel originate Local/asks@from-lab application Wait 30")
        for _ in range(2):
            channel = json.loads(await ari.next("StasisStart", 5.0))["channel"]
            await ari.over_http("POST", f"channels/{channel['id']}/continue")
        pbx.command("channel request hangup all")
        await wait_until(lambda: not pbx.channels(), "its end")
