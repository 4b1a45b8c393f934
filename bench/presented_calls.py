"""The calls of `presented_number_check`, with presented number, spelling and required outcome.

The required outcome follows from how the call is made; it does not use the product's code.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import quote

from lab.spellings import OUT_OF_ORDER, READABLE

CONNECTED, REFUSED = "connected", "refused"
OWN, RESOLD, HERE, ALIEN, GONE = "0311110", "0311113", "0322224", "0322220", "0311114"
"""Blocks of numbers: this member's, those that it resold, those ported to it; another member's, those ported to that
member.
"""
INTERNET, ALIEN_INTERNET = "0501110", "0502220"
SECOND = "0311115"
"""A number of this member whose customer is not the first one."""
STOPPED, SILENT = "0311118", "0311119"
"""The member's own numbers: a suspended one, and one that never originates calls."""
POLICE, BANK = "0335810", "0344440"
BLOCKS: Final = (
    OWN, RESOLD, HERE, ALIEN, GONE, INTERNET, ALIEN_INTERNET, SECOND, STOPPED, SILENT, POLICE, BANK,
)  # fmt: skip
AREAS: Final = ("03", "06", "011", "045", "052", "092", "050")


def registry_text(now: datetime) -> str:
    """YAML text of a registry with the numbers of the check."""
    past = (now - timedelta(days=1)).isoformat(timespec="seconds")
    valid = "{from: 2026-01-10T00:00:00+09:00, until: 2036-01-10T00:00:00+09:00}"
    members = "".join(
        f"  - id: {member}\n    name: {{ja: 見本, en: Sample}}\n    pledge: {{signed: 2026-01-05}}\n"
        f"    licences: [{{id: L-{member}, tone: sample, status: active, valid: {valid},"
        f" directions: [incoming, outgoing]}}]\n"
        f"    numbers: {[f'{block}*' for block in blocks]}\n"
        for member, blocks in (
            ("m-0001", (OWN, RESOLD, GONE, INTERNET, SECOND, STOPPED, SILENT)),
            ("m-0007", (ALIEN, HERE, ALIEN_INTERNET)), ("m-0008", ()),
        )
    )  # fmt: skip
    never = "".join(
        f"  - {{numbers: '{block}*', holder: 見本, reference: N-{block}, since: 2026-03-01T00:00:00+09:00}}\n"
        for block in (POLICE, BANK, SILENT)
    )
    return f"""\
registry: {{association: JUSA, version: 1, issued: 2026-11-01T00:00:00+09:00, expires: 2036-11-01T00:00:00+09:00}}
tones:
  - {{id: sample, title: Sample sound}}
members:
{members}
portings:
  - {{numbers: '{GONE}*', from: m-0001, to: m-0007, at: {past}}}
  - {{numbers: '{HERE}*', from: m-0007, to: m-0001, at: {past}}}
chains:
  - numbers: '{RESOLD}*'
    links:
      - {{from: m-0001, to: m-0008, checked: {{by: m-0001, day: 2026-10-01, document: 認定通知書}}}}
suspensions:
  - {{numbers: '{STOPPED}*', since: 2026-03-01T00:00:00+09:00, reference: R-1}}
never_originates:
{never}"""


class Line(NamedTuple):
    """An endpoint of the PBX.

    From a `trusted` endpoint, Asterisk takes the caller's number from P-Asserted-Identity.
    """

    name: str
    trusted: bool
    account: str = ""


LINES: Final = (
    Line("line-1", True, "acc-1"),
    Line("line-2", False, "acc-2"),
    Line("line-3", True),
    Line("trunk", True),
)
"""Lines of the first customer, by endpoint and by account code; a line that the table lacks; a line from outside."""
FIRST, ACCOUNT, NOT_IN_TABLE, TRUNK = LINES
TABLE: Final = f"""
lines:
  - {{customer: c-1, endpoints: [line-1], accounts: [acc-1, acc-2]}}
  - {{customer: c-1, numbers: {[f"{block}*" for block in (OWN, RESOLD, HERE, INTERNET, STOPPED, SILENT)]}}}
  - {{customer: c-2, endpoints: [line-8], accounts: [acc-8], numbers: ["{SECOND}*"]}}
"""


class Kind(NamedTuple):
    """A kind of number: a function that draws one, and the required outcomes of its calls.

    `away` is the outcome of incoming calls while the service is down.
    """

    number: Callable[[random.Random], str]
    incoming: str
    away: str
    outgoing: str
    weight: int = 1


def _in(*blocks: str) -> Callable[[random.Random], str]:
    def draw(dice: random.Random) -> str:
        block = dice.choice(blocks)
        digits = (11 if block.startswith("050") else 10) - len(block)
        return f"{block}{dice.randrange(10**digits):0{digits}}"

    return draw


def _ending(*blocks: str) -> Callable[[random.Random], str]:
    draw = _in(*blocks)
    return lambda dice: f"{draw(dice)[:-4]}0110" if dice.randrange(2) else f"{draw(dice)[:-3]}110"


def _nobodys(ending: str = "") -> Callable[[random.Random], str]:
    def draw(dice: random.Random) -> str:
        while True:
            area = dice.choice(AREAS)
            digits = (11 if area == "050" else 10) - len(area) - len(ending)
            number = f"{area}{dice.randint(2, 9)}{dice.randrange(10 ** (digits - 1)):0{digits - 1}}{ending}"
            if not number.startswith(BLOCKS):
                return number

    return draw


ALWAYS, NEVER = (CONNECTED,) * 3, (REFUSED,) * 3
NO_MEMBERS = (CONNECTED, REFUSED, REFUSED)
"""The outcome for a number of no member yet: an incoming call gets the notice."""
AT_ITS_LINE = (CONNECTED, CONNECTED, REFUSED)
CALLER, LINE, DIFFERS = "own, its caller never originates", "own, on another line", "own, and its own Dial() differs"
KINDS: Final[Mapping[str, Kind]] = {
    "own": Kind(_in(OWN, INTERNET), *ALWAYS, 5),
    "own, ending in 0110": Kind(_ending(OWN, INTERNET), *ALWAYS, 2),
    "own, resold": Kind(_in(RESOLD), *ALWAYS),
    "own, ported here": Kind(_in(HERE), *ALWAYS),
    "another customer's": Kind(_in(SECOND), *AT_ITS_LINE, 4),
    LINE: Kind(_in(OWN), *AT_ITS_LINE),
    CALLER: Kind(_in(OWN), *NEVER, 2),
    DIFFERS: Kind(_in(OWN), *NEVER, 2),
    "another member's": Kind(_in(ALIEN, ALIEN_INTERNET), *NEVER, 3),
    "another's, ending in 0110": Kind(_ending(ALIEN, ALIEN_INTERNET), *NEVER),
    "ported away": Kind(_in(GONE), *NEVER),
    "random": Kind(_nobodys(), *NO_MEMBERS, 4),
    "nobody's 0110": Kind(_nobodys("0110"), *NO_MEMBERS, 3),
    "never originates": Kind(_in(POLICE, BANK, SILENT), *NEVER, 3),
    "suspended": Kind(_in(STOPPED), *NEVER),
}
PRESENTED: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "extension": lambda dice: str(dice.randrange(101, 999)),
    "emergency": lambda _: "110",
    "another member's": _in(ALIEN),
    "nobody's": _nobodys("0110"),
    "suspended": _in(STOPPED),
    "another customer's": _in(SECOND),
    "outside": lambda dice: f"090{dice.randrange(10**8):08}",
}
"""Texts that a caller may present if the hook replaces them by the checked number."""
ORIGINATES: Final = _in(POLICE, BANK)
GROUPS: Final = (*READABLE, *OUT_OF_ORDER)
"""Groups of spellings."""
_BALANCED: Final = re.compile(r"(?s)(?:[^(]|\([^()]*\))*")
"""Spellings without an unclosed bracket, which would swallow the arguments after the number.
`tests/calls/test_spellings.py` tests those.
"""
_IN_OPTIONS: Final = re.compile(r"[^()\[\]^,\"\\]*")
_SHOWN: Final = re.compile(r"[^\x00-\x1f\x7f;]{1,26}")
"""Spellings that Asterisk keeps unchanged: it drops parameters after a caller's number, and all that follows 79 octets.
"""


@dataclass(frozen=True, slots=True)
class OfferedCall:
    """One call of the check.

    `shows` is the caller's number for Asterisk, and `decoy` the number in the other header.
    """

    name: str
    kind: str
    group: str
    """The group of the presented number's spelling."""
    number: str
    written: str
    shows: str
    decoy: str
    line: Line
    direction: str
    way: str
    interface: str
    dialled: str

    def required_outcome(self, is_away: bool) -> str:
        """Required outcome of the call.

        `is_away` means that the service is down.
        """
        kind = KINDS[self.kind]
        if self.group in OUT_OF_ORDER:
            return REFUSED
        if self.direction == "outgoing":
            return kind.outgoing
        return kind.away if is_away else kind.incoming

    def row(self) -> str:
        """Line of the call in SIPp's input file.

        SIPp separates fields by `;`, so all text from outside is encoded.
        """
        sender, asserted = (self.decoy, self.shows) if self.line.trusted and self.decoy else (self.shows, self.decoy)
        header = f"P-Asserted-Identity: <sip:{_uri(asserted)}@x>" if asserted else "X-Lab-Nothing: 1"
        return ";".join(
            (
                self.name, self.dialled, _uri(sender), header, self.line.name, quote(self.written, safe=""),
                self.direction, self.interface, self.way,
            )
        )  # fmt: skip


def _uri(text: str) -> str:
    return quote(text, safe="+")


def draw_calls(seed: int, calls: int) -> list[OfferedCall]:
    """Draw `calls` calls; the same seed gives the same calls."""
    dice = random.Random(f"numbers/{seed}")
    names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
    return [_offered(dice, name, at) for at, name in enumerate(dice.choices(names, weights, k=calls))]


def _offered(dice: random.Random, kind: str, at: int) -> OfferedCall:
    number = KINDS[kind].number(dice)
    way = "own-dial" if kind == DIFFERS or dice.randrange(3) == 0 else "hook"
    direction = "incoming" if kind not in (LINE, DIFFERS) and dice.randrange(3) == 0 else "outgoing"
    outgoing, own_dial = direction == "outgoing", way == "own-dial"
    line = TRUNK
    if outgoing:
        line = NOT_IN_TABLE if kind == LINE else dice.choice((FIRST, ACCOUNT))
    always = (KINDS[kind].outgoing if outgoing else KINDS[kind].away) == CONNECTED
    group, written = _spelled(dice, number, _IN_OPTIONS if own_dial else _BALANCED, always)
    shows = dice.choice(tuple(PRESENTED.values()))(dice)
    if kind == CALLER:
        shows = _clean(dice, ORIGINATES(dice))
    elif not outgoing:
        shows = PRESENTED["outside"](dice)
    elif own_dial and kind != DIFFERS:
        shows = _clean(dice, number)
    decoy = ""
    if outgoing and dice.randrange(2):
        decoy = dice.choice((ORIGINATES(dice), number, *(each(dice) for each in PRESENTED.values())))
    return OfferedCall(
        f"n{at}",
        kind,
        group,
        number,
        written,
        shows,
        decoy,
        line,
        direction,
        way,
        dice.choice(("ari", "agi")),
        f"0801{at:07}",
    )


def _spelled(dice: random.Random, number: str, fits: re.Pattern[str], readably: bool) -> tuple[str, str]:
    """The name of a group of spellings, and the number in one of them."""
    groups = READABLE if readably or dice.randrange(4) else OUT_OF_ORDER
    while True:
        group = dice.choice(tuple(groups))
        written = dice.choice(tuple(groups[group](number)))
        if fits.fullmatch(written):
            return group, written


def _clean(dice: random.Random, number: str) -> str:
    """The number in a spelling that a telephone can show."""
    return _spelled(dice, number, _SHOWN, True)[1]
