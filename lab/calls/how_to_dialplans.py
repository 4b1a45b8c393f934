"""One Asterisk with all dialplans of docs/how-to, and phones at its lines.

Each dialplan has exactly the text of its page. The Asterisk also has the dialplans that FreePBX and Wazo generate
(lab/systems). A phone at the end of each trunk answers for every number.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import voices
from lab.asterisk import MODULES, Asterisk, free_ports
from lab.asterisk_installation import AsteriskInstallation
from lab.incoming_call import IncomingCall
from lab.key_presses import KeyMethod, press
from lab.lab import CALLER_NUMBER, LICENSED, SUSPENDED, PlacedCall, wait_until
from lab.phone import Answer, Behaviour, Phone
from lab.pjsip_conf import pjsip
from lab.publication import LAB_REGISTRY
from lab.repository import ROOT
from lab.rtp import Media
from lab.service import Service
from lab.sound_detection import hear, hear_whole

HOW_TO, SYSTEMS = ROOT / "docs" / "how-to", ROOT / "lab" / "systems"
_RECIPE = re.compile(r"^( *)<!-- recipe: (\S+) -->\n\1```\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
EXTENSION = "101"
"""Number of the extension that makes calls from inside FreePBX."""
FREEPBX_DATABASE = (
    "CF 102 09010000002",  # as stored by *72
    f"DEVICE/{EXTENSION} user {EXTENSION}",
    f"AMPUSER/{EXTENSION} device {EXTENSION}",
    f"AMPUSER/{EXTENSION} cidname Desk",
    "AMPUSER/103 device 103",
    "DEVICE/103 dial PJSIP/103",
)
QUESTION = "notice"
"""Prompt that asks the called party to press 1: a sound that the lab can distinguish from the licensed one."""

# Dialplans that the pages do not recommend, with the dangers that the pages warn of.
WARNINGS = """
[next-trunk-without-hook]
exten = _0X.,1,Dial(Local/${EXTEN}@suspended-members/n)
 same = n,Dial(PJSIP/${EXTEN}@trunk2)

[options-in-a-variable]
exten = _0X.,1,Set(DIAL_OPTIONS=U(idtone-called^0312345678^outgoing))
 same = n,Dial(PJSIP/${EXTEN}@trunk,30,${DIAL_OPTIONS}U(wazo-record-answered^s^1))
"""

LAB = """
[globals]
QUESTION=${IDTONE_SOUNDS}/notice

[from-lab]
exten = _[+*0-9a-z]!,1,Set(__IDTONE_INTERFACE=${PJSIP_HEADER(read,X-Lab-Interface)})
 same = n,Set(__FROM_DID=${PJSIP_HEADER(read,X-Lab-Did)})
 same = n,Set(__IDTONE_FORWARDED=${PJSIP_HEADER(read,X-Lab-Did)})
 same = n,Goto(${PJSIP_HEADER(read,X-Lab-Context)},${EXTEN},1)

[lab]
exten = queue,1,Queue(support,r)
exten = suspended,1,Queue(suspended,r,,,1)
 same = n,Hangup(19)
exten = followme,1,FollowMe(me,l)
"""
RECIPES = ("wazo", "members", "confirm", "together", "hunt", "office", "rooms", "parked-back")
"""Recipes for extensions.conf."""
ALL_MODULES = """
    res_parking app_channelredirect app_followme app_queue app_read app_while pbx_ael pbx_lua res_ael_share
""".split()
PARKING = """
parkingtime = 3
"""
PROMPTS = "pls_hold_prompt call_from_prompt norecording_prompt options_prompt".split()
"""Files without which FollowMe() ends the call."""
QUEUES = """
[607]
member => Local/09010000007@from-queue/n

[suspended]
retry = 1
member => Local/09010000078@suspended-members/n
"""


def recipes() -> dict[str, str]:
    """Name of each recipe → its text."""
    found: dict[str, str] = {}
    for page in sorted(HOW_TO.glob("*.md")):
        for indent, name, text in _RECIPE.findall(page.read_text("utf-8")):
            assert name not in found, f"two recipes have the name {name}"
            found[name] = re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
    return found


def freepbx_dialplan(recipe: str, *, macros: bool) -> dict[str, str]:
    """File name → text of FreePBX's dialplan with the recipe, in FreePBX's order of inclusion."""
    additional, own = ((SYSTEMS / name).read_text("utf-8") for name in ("freepbx_additional.conf", "freepbx.conf"))
    if macros:
        additional, own = with_freepbx_16_macros(additional), with_freepbx_16_macros(own)
    return {"freepbx_additional.conf": additional, "extensions_custom.conf": recipe, "freepbx.conf": own}


def with_freepbx_16_macros(text: str) -> str:
    """FreePBX 17's contexts, changed to those of FreePBX 16.

    Macro() calls each macro, and Dial() runs in a macro.
    """
    (dial,) = re.findall(r"^exten = _X,1,(Dial.*DIAL_TRUNK_OPTIONS.*)$", text, re.MULTILINE) or [""]
    text = re.sub(r"Gosub\(trunk-dial-with-exten,.*", lambda _: dial, text)
    text = re.sub(r"Gosub\(macro-([a-z-]+),s,1\((.*)\)\)$", r"Macro(\1,\2)", text, flags=re.MULTILINE)
    text = re.sub(r"Gosub\(macro-([a-z-]+),s,1\)$", r"Macro(\1)", text, flags=re.MULTILINE)
    text = re.sub(r"U\(macro-([a-z-]+)", r"M(\1", text).replace("(U[(]macro-auto", "(M[(]auto")
    parts = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    return "".join(_macro(part) if part.startswith("[macro-") else part for part in parts)


def _macro(context: str) -> str:
    """The context as a macro.

    Its extension `s`, and extensions that it jumps to, end with MacroExit(). Extensions that Gosub() calls end with
    Return().
    """
    called = set(re.findall(r"[?:](\w+),1\(\)", context)) - {"ANSWER"}
    lines, exten = [], ""
    for each in context.splitlines(keepends=True):
        if found := re.match(r"exten = ([^,]+),", each):
            exten = found[1]
        lines.append(each if exten in called else re.sub(r"\bReturn\(.*\)$", "MacroExit()", each))
    return "".join(lines)


def for_suspended_number(recipes: str) -> str:
    """The same recipes for a member with a suspended number."""
    return (
        recipes.replace(LICENSED, SUSPENDED)
        .replace("[confirm]", "[suspended-confirm]")
        .replace("idtone-members", "suspended-members")
        .replace("[ask-first]", "[suspended-ask-first]")
    )


def endpoint_of_line(name: str, port: int, context: str) -> str:
    """The endpoint of a trunk or of an extension in pjsip.conf."""
    return (
        f"[{name}]\ntype = aor\ncontact = sip:{name}@127.0.0.1:{port}\n"
        f"[{name}]\ntype = endpoint\naors = {name}\ncontext = {context}\ndisallow = all\nallow = ulaw\n"
        "direct_media = no\nmedia_address = 127.0.0.1\nbind_rtp_to_media_address = yes\n"
    )


LINES = {"trunk": "from-trunk", "trunk2": "from-trunk", "103": "from-internal", "201": "office"}
"""Two trunks and two extensions, each with its context."""


@dataclass(frozen=True)
class Pbx:
    """The Asterisk with all recipes, its service, and the ports of the phones at its lines.

    `seen` holds the calls whose evidence a test has already seen.
    """

    service: Service
    ports: Mapping[str, int]
    seen: set[str] = field(default_factory=set)


@contextmanager
def running_pbx(installation: AsteriskInstallation, scratch: Path, *, macros: bool = False) -> Iterator[Pbx]:
    """Context with the running Asterisk and its service.

    If `macros`, the dialplan is that of FreePBX 16, and Asterisk needs `app_macro`. Raises KeyError or AssertionError
    if the pages do not have the expected recipes.
    """
    texts = recipes()
    modules = [*MODULES, *ALL_MODULES, *(["app_macro"] if macros else [])]
    dialplan = {
        **freepbx_dialplan(texts.pop("freepbx"), macros=macros),
        "wazo.conf": (SYSTEMS / "wazo.conf").read_text("utf-8"),
        "suspended.conf": for_suspended_number(texts["members"] + texts["confirm"]),
        "recipes.conf": "".join(texts.pop(name) for name in RECIPES),
        "lab.conf": LAB + WARNINGS,
    }
    files = {
        **dialplan,
        "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in modules),
        "extensions.conf": "".join(f"#include {name}\n" for name in dialplan),
        "extensions.ael": texts.pop("ael"),
        "extensions.lua": texts.pop("lua"),
        "queues.conf": texts.pop("queue") + QUEUES,
        "features.conf": texts.pop("keys") + f"[general]\ntransferannouncesound = {scratch}/sounds/{QUESTION}\n",
        "res_parking.conf": texts.pop("parking") + PARKING,
        "followme.conf": texts.pop("followme")
        + "".join(f"{each} => {scratch}/sounds/{QUESTION}\n" for each in PROMPTS),
    }
    assert not texts, f"no test runs {sorted(texts)}"
    asterisk = Asterisk(installation, scratch, files)
    ports = dict(zip(LINES, free_ports(len(LINES)), strict=True))
    files["pjsip.conf"] = pjsip(asterisk.sip_address) + "".join(
        endpoint_of_line(name, ports[name], context) for name, context in LINES.items()
    )
    policy = "notify: {incoming: called, outgoing: both}, waiting: 200"
    with asterisk, Service(asterisk, LAB_REGISTRY, policy) as service:
        for entry in FREEPBX_DATABASE:
            asterisk.command(f"database put {entry}")
        yield Pbx(service, ports)


# -- placing calls ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A call into a context of the PBX, and the number of the phone where it arrives."""

    context: str
    exten: str
    number: str
    interface: str = "ari"
    at: str = "trunk"
    forwarding: str = LICENSED
    did: str = ""
    """Number that was dialled into FreePBX or Wazo, if the context does not belong to a trunk."""

    def __str__(self) -> str:
        return f"{self.exten}@{self.context}"

    @property
    def caller_id(self) -> str:
        """Number of the caller, which is an extension in FreePBX's internal contexts."""
        return EXTENSION if self.context.startswith(("from-internal", "ext-")) else CALLER_NUMBER


@dataclass(frozen=True)
class Network:
    """A calling phone, and the phones at the PBX's lines."""

    pbx: Pbx
    caller: Phone
    phones: Mapping[str, Phone]

    def dial(self, case: Case) -> PlacedCall:
        headers = [("X-Lab-Context", case.context), ("X-Lab-Interface", case.interface), ("X-Lab-Did", case.did)]
        address = self.pbx.service.asterisk.sip_address
        return PlacedCall(str(case), self.caller.dial(case.exten, address, caller_id=case.caller_id, headers=headers))

    def rung_at_all(self) -> list[str]:
        """Numbers that rang, at any line."""
        return [call.request.uri.user for phone in self.phones.values() for call in phone.calls]

    def rung(self, number: str, at: str = "trunk") -> list[IncomingCall]:
        return [call for call in self.phones[at].calls if call.request.uri.user == number]

    async def answered(self, case: Case) -> PlacedCall:
        """Make a call, and wait until the phone with the number has answered."""
        placed = self.dial(case)

        def there() -> bool:
            placed.called = next((call for call in self.rung(case.number, case.at) if call.answered_ns), None)
            return placed.called is not None

        await wait_until(there, f"the answer to {case}")
        return placed

    async def talked(self, case: Case) -> PlacedCall:
        """Make a call, and hang up when the parties hear each other."""
        placed = await self.answered(case)
        await wait_until(lambda: parties_talk(placed), f"the parties of {case} to talk")
        await placed.caller.final()  # the other party's voice may arrive before the answer
        await placed.caller.hangup()
        assert placed.called
        await placed.called.ended()
        return placed


def parties_talk(placed: PlacedCall) -> bool:
    """True if each party is now receiving the other's voice."""
    assert placed.called
    return all(
        hear(packets[-10:-4], 0, voice=voice).voice_ms is not None
        for packets, voice in ((placed.caller.packets, voices.CALLED), (placed.called.packets, voices.CALLER))
    )


@asynccontextmanager
async def network(pbx: Pbx, **scripts: Behaviour) -> AsyncIterator[Network]:
    """Context with phones that answer. `scripts` replaces the behaviour for a called number: `_number=behaviour`."""

    async def behave(call: IncomingCall) -> None:
        await scripts.get(f"_{call.request.uri.user}", Answer(after_ms=20))(call)

    async with AsyncExitStack() as life:
        media = life.enter_context(Media())
        caller = await life.enter_async_context(Phone(media, voices.CALLER))
        phones = {
            name: await life.enter_async_context(Phone(media, voices.CALLED, behave, port=port))
            for name, port in pbx.ports.items()
        }
        yield Network(pbx, caller, phones)


Records = list[dict[str, Any]]


@asynccontextmanager
async def wait_for_records(pbx: Pbx, count: int, *, exactly: bool = True) -> AsyncIterator[Records]:
    """Context around calls through the hook, which yields a list of their records.

    The list is complete at the end of the context. Waits for exactly `count` records, or for at least that many if
    `exactly` is false.
    """
    new: Records = []
    yield new

    async def whole() -> bool:
        records = await asyncio.to_thread(pbx.service.records)
        new[:] = [record for call_id, record in records.items() if call_id not in pbx.seen]
        return len(new) >= count and all(record["complete"] for record in new)

    try:
        await wait_until(whole, f"the evidence of {count} calls")
    finally:
        pbx.seen.update(record["call_id"] for record in new)
    assert len(new) == count or not exactly, f"{len(new)} records instead of {count}"


def records_of(records: Records, number: str) -> Records:
    """Records of calls to the number."""
    return [record for record in records if record["numbers"]["called"]["last4"] == number[-4:]]


def press_after_answer(key: str, references: Mapping[str, Any]) -> Behaviour:
    """Behaviour of a phone that answers, hears the question to its end, and presses a key."""

    async def behave(call: IncomingCall) -> None:
        call.answer()
        await wait_until(lambda: hear_whole(call.packets, 0, reference=references[QUESTION]).complete, "the question")
        await press(call, key, KeyMethod.EVENTS)

    return behave
