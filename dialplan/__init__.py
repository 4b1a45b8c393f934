"""The hook in Asterisk's dialplan, and the names that it shares with the service.

`idtone.conf` beside this file is the hook. This module alone defines the variables, labels and words that the hook and
the service exchange.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

FORWARD_CONTEXT: Final = "idtone-forward"
"""The context in which the caller's channel continues, at a `Verdict.extension`."""
CALLED_CONTEXT: Final = "idtone-called"
"""The same for the called party's channel under the operator's own Dial()."""
FORWARD_PRIORITY: Final = 1
CALLED_PRIORITY: Final = 2
"""Inside the Gosub() of Dial(), Asterisk continues one priority before the named one."""

CALLED, CALLER = "called", "caller"
"""The hook's words for the two parties."""

FALLBACK_FILE: Final = "fallback.conf"
"""The file beside the sounds with the suspended numbers, which the hook refuses while the service is down. The service
and `idtone registry update` write it."""
FALLBACK_SUSPENDED: Final = "suspended"
"""The section with the suspended numbers: 81312345xxx = start:end/start in Unix seconds."""
FALLBACK_END: Final = "end"
"""The last section. Without its last line, `FALLBACK_COMPLETE` = yes, the hook refuses every call."""
FALLBACK_COMPLETE: Final = "complete"
JOURNAL_FILE: Final = "calls"
"""The file in the journal's folder to which the hook writes."""
PACKET_MS: Final = 20
"""Duration of an RTP packet, in Asterisk's default configuration and in every network that we know of."""


def packets(duration_ms: float) -> int:
    """How many RTP packets Asterisk sends for a sound."""
    return -int(-duration_ms // PACKET_MS)


class Played(StrEnum):
    """How the hook played a sound, in a journal line."""

    DIAL = "dial"
    """Dial() played it, with its option A()."""
    AGAIN = "again"
    """Playback() played it, because Dial() had not played it to its end."""
    OWN = "own"
    """Playback() played it, under the operator's own Dial()."""
    NOTICE = "notice"
    """Playback() played the notice, because the sound could not be played."""
    TONES = "tones"
    """Playtones() played the notice, because its file could not be played either."""


def parties_word(parties: tuple[str, ...]) -> str:
    """`called`, `caller`, `both` or `none`."""
    return {(): "none", (CALLED,): CALLED, (CALLER,): CALLER}.get(parties, "both")


EXTENSION_LIMIT: Final = 79
"""Most characters of an extension in Asterisk."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision in the form that the hook reads. The hook ignores a verdict without the nonce of its request.

    `files` are the names of the sounds in their folder, by party; `packets` is the length of the called party's sound.
    `chain` is the MAC of the token for the next node (`call_control.chain_token`); `CHAINED` for a call without one
    whose sound another node plays: then its legs on this PBX are announced too.
    """

    nonce: str
    outcome: str
    reason: str
    hangup_cause: int | None = None
    answer_first: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    packets: int = 0
    chain: str = ""

    @property
    def text(self) -> str:
        """The value of the channel variable `VERDICT_VARIABLE`."""
        return ":".join(
            (
                self.nonce,
                self.outcome,
                self.reason,
                str(self.hangup_cause or ""),
                "a" if self.answer_first and CALLER in self.files else "",
                self.files.get(CALLED, ""),
                self.files.get(CALLER, ""),
                str(self.packets) if CALLED in self.files else "",
                *((self.chain,) if self.chain else ()),
            )
        )

    @property
    def extension(self) -> str:
        """The extension that carries the verdict: the hook gets all of it or none of it."""
        return f"v:{self.text}"


CHAINED: Final = "-"
"""Shorter than a MAC, by which the hook tells them apart."""
NO_VERDICT: Final = "v:none"
"""The extension at which a called party's channel continues without a verdict."""
VERDICT_VARIABLE: Final = "IDTONE_VERDICT"


def channel_of(call_id: str) -> str:
    """The unique id of the channel from which a call id was made: `1795564585.21-1` → `1795564585.21`.

    The call id has the characters of an id that an ARI application chose URI-encoded.
    """
    return unquote(call_id.rpartition("-")[0])


_DIALLED_USER: Final = re.compile(r"(?i:local)/([^@/;,]*)|[^/]+/(?:[^/]*/)?(?:sips?:)?([^@/;,]*)")
"""Behind the last slash, a Local channel has its options, and every other channel has the dialled user."""


def dialled_user(dial_string: str) -> str:
    """The user part of a dial string; for a ring group, that of its first destination.

    `PJSIP/0312345678@trunk`, `PJSIP/trunk/sip:0312345678@host`, `Local/0312345678@context/n`.
    """
    found = _DIALLED_USER.match(dial_string.partition("&")[0])
    return (found[1] or found[2] or "") if found else ""


def endpoints(dial_string: str) -> set[str]:
    """The PJSIP endpoints of a dial string: `PJSIP/0312345678@trunk&PJSIP/other/sip:0312345678@host` → trunk, other."""
    found = set[str]()
    for destination in dial_string.split("&"):
        technology, _, rest = destination.strip().partition("/")
        if technology.upper() == "PJSIP":
            endpoint, is_request, _ = rest.partition("/")
            found.add(endpoint if is_request else rest.rpartition("@")[2])
    return found


def node_word(node: str) -> str:
    """The name of a node without the characters that separate the parts of a token, or that a header cannot have."""
    return quote(node, safe="").replace(".", "%2E")


# -- what the hook reads of numbers -----------------------------------------------------------------------------------
# POSIX extended regular expressions for the dialplan, for text that `idtone-narrow` has made ASCII. `idtone.numbers`
# reads the same forms; the tests run one table through both.

_S: Final = "[-().[:space:]]*"
_SCHEME: Final = "([Tt][Ee][Ll]:|[Ss][Ii][Pp][Ss]?:)?"
_BEGIN: Final = f"{_S}<?{_S}{_SCHEME}{_S}"
_EMERGENCY: Final = f"{_BEGIN}(([+]|0{_S}0|0{_S}1{_S}0){_S}8{_S}1{_S})?(1{_S}8{_S}[46]{_S})?1{_S}1{_S}[089]{_S}(#{_S})?"
"""`110`, `1-1-9`, `(118)`, `184110`, `+81110`, `tel:110`, `110#`, `<sip:119`."""
_REST: Final = rf"(;([^-+().[:space:]0-9&/<,][^&/<,]*)?|@[^&/<,]*|>{_S}(;[^&/<,]*)?)?"
"""Host or parameters."""
_PARAMETERS: Final = "(;([^-+().[:space:]0-9&/<,@][^&/<,@]*)?)?"
JAPANESE: Final = "^((18[46])?([+]|010|00)?810?|(18[46])?0|)([25-9]0[0-9]{8}|(1[1-9]|[34][0-9]|[25-9][1-9])[0-9]{7})$"
ABROAD: Final = "^(18[46])?([+]|010)([1-79]|8[02-9])[0-9]{6,14}$"
"""Both as in `idtone.numbers`, on digits and +."""


_OTHER: Final = "([A-KM-Za-km-z0-9][A-Za-z0-9]*/|[Ii][Aa][Xx]2/[^&/@,]*@)"
"""Another technology than Local, whose name alone begins with an L; before the resource IAX2 can have a user."""


def _destination(trunks: str, local: str) -> str:
    """A destination on a trunk that dials an emergency number. `local` is `?` if Local channels need no context."""
    pjsip = rf"([Pp][Jj])?[Ss][Ii][Pp]/{_EMERGENCY}{_PARAMETERS}@{trunks}"
    other = rf"{_OTHER}{trunks}/{_EMERGENCY}{_REST}"
    through = rf"[Ll][Oo][Cc][Aa][Ll]/{_EMERGENCY}{_PARAMETERS}(@{trunks}){local}(/[A-Za-z]*)?"
    return f"({pjsip}|{other}|{through})"


_TRUNK: Final = "${IDTONE_EMERGENCY_TRUNKS}"


def _patterns(emergency_trunks: tuple[str, ...]) -> dict[str, str]:
    """Placeholder in the hook → the pattern that replaces it."""
    local = "?" if not emergency_trunks or _DEFAULT_CONTEXT in emergency_trunks else ""
    one = _destination(_TRUNK, local)
    single = rf"^(([Pp][Jj])?[Ss][Ii][Pp]/[^&/@,]*@{_TRUNK}|{_OTHER}{_TRUNK}/[^&/,]*"
    single += rf"|[Ll][Oo][Cc][Aa][Ll]/[^&/@,]*(@{_TRUNK}){local}(/[A-Za-z]*)?)$"
    found = {
        "@PERHAPS_EMERGENCY@": f"[^ -~]|/{_EMERGENCY}([@;>&/]|$)",
        "@EMERGENCY@": f"^{_EMERGENCY}{_REST}$",
        "@EMERGENCY_DIALLED@": f"^({one}&)*{one}$",
        "@ONE_TRUNK@": single,
        "@NUMBER@": rf"^{_BEGIN}[-+().[:space:]0-9]*{_REST}$",
        "@JAPANESE@": JAPANESE,
        "@ABROAD@": ABROAD,
        "@COMPLETE@": COMPLETE,
    }
    return {name: pattern.replace(";", "\\;") for name, pattern in found.items()}


_DEFAULT_CONTEXT: Final = "default"
"""The context of a Local channel that names none."""
COMPLETE: Final = "/([^0-9@;&/]*[0-9]){9}"
"""A destination with a complete telephone number."""
_DESTINATION: Final = re.compile(
    r"(?:pj)?sip/(?P<user>[^,/@]*)@(?P<endpoint>[^,/@]+)"
    r"|(?:iax2/[^,/@]*@|[a-km-z0-9][a-z0-9]*/)(?P<resource>[^,/@]+)/(?P<number>[^,/]*)"
    r"|local/(?P<extension>[^,/@]*)(?:@(?P<context>[^,/@]+))?(?:/[a-z]*)?",
    re.IGNORECASE | re.ASCII,
)
"""`PJSIP/110@trunk`, `PJSIP/trunk/sip:110@host`, `DAHDI/g0/110`, `IAX2/member@trunk/110`, `Local/110@context/n`; not
`PJSIP/119`, which is an extension.
"""


def is_emergency_call(
    dial_string: str, called: str, trunks: Sequence[str], is_emergency: Callable[[str], bool], own_dial: bool = False
) -> bool:
    """Whether every destination of the dial string is on one of the trunks and dials an emergency number.

    The called number counts if there is one destination and it is on one of the trunks. With parameters, or under the
    operator's own Dial(), it can be forged by a caller: then it does not count if a complete other number is dialled.
    Without names, all trunks count. The texts are ASCII; `is_emergency` reads a number.
    """
    users = []
    for destination in dial_string.split("&"):
        found = _DESTINATION.fullmatch(destination)
        if not found:
            return False
        user, endpoint, resource, number, extension, context = found.groups()
        if trunks and (endpoint or resource or context or _DEFAULT_CONTEXT) not in trunks:
            return False
        users.append(user or number or extension or "")
    if all(map(is_emergency, users)):
        return True
    if len(users) > 1 or not is_emergency(called):
        return False
    forgeable = own_dial or any(each in called for each in "@;>")
    return not (forgeable and re.search(COMPLETE, dial_string))


_NARROW: Final = (
    {chr(code + 0xFEE0): chr(code) for code in map(ord, "0123456789+@;:/&<>#.-TELSIPtelsip")}
    | dict.fromkeys("（）\u3000\u00a0", ".")
    | dict.fromkeys("‐‑‒–—―−ーｰ", "-")
    | dict.fromkeys(
        "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
        "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff",
        "",
    )
)
"""Full-width characters, separators (one is as good as another), and marks without a width → ASCII."""
_NARROWING: Final = "\n".join(
    f" same = n,Set(IDTONE_TEXT=${{STRREPLACE(IDTONE_TEXT,${{URIDECODE({quote(wide)})}},{narrow})}})"
    for wide, narrow in _NARROW.items()
).replace(";", "\\;")
"""The characters are escaped, because some are invisible."""


# -- the time ---------------------------------------------------------------------------------------------------------

_ZONE: Final = '"${ENV(TZ)}"'
"""The zone of Asterisk's process. The C library's %s reads Asterisk's calendar back by TZ, or without TZ by
/etc/localtime; Asterisk's calendar does not look at TZ, so the zone is named. The quotes keep the commas of a rule
together."""
_NOW: Final = f"${{STRFTIME(,{_ZONE},%s.%6q)}}"
"""Seconds since 1970 with six decimals, in every zone and also in the hour that daylight saving time repeats."""
_TENTHS: Final = f"${{STRFTIME(,{_ZONE},%s%1q)}}"
"""Tenths of a second since 1970."""


# -- what a caller wrote ----------------------------------------------------------------------------------------------

_CALLER_TEXTS_LIMIT: Final = 200
"""Most octets of a caller's texts together without a closer look; longer than a usual name with usual numbers."""
_CALLER_TEXT_LIMIT: Final = 80
"""Most octets of one of them, if they are looked at."""
_CALLER_TEXTS: Final = "".join(
    f"${{{each}:0:{_CALLER_TEXTS_LIMIT + 1}}}"
    for each in (
        "CALLERID(name)",
        "CALLERID(num)",
        "CONNECTEDLINE(name)",
        "CONNECTEDLINE(num)",
        "REDIRECTING(from-num)",
    )
)
"""All texts of a caller in Asterisk's description of a channel, except the Call-ID. They are cut: Asterisk loses the
bracket behind an argument of more than 4,095 octets."""
_NOT_PRINTABLE: Final = "%([01]|7F|[89A-F])"
"""A pattern for what is not printable ASCII, in URI encoding: in the encoded text it means the same in every locale."""


def _utf_8() -> str:
    """A pattern for UTF-8 without control characters, in URI encoding (RFC 3629, section 4)."""

    def octets(*ranges: str) -> str:
        return "".join(f"%{each}" for each in ranges)

    hexadecimal, tail = "[0-9A-F]", "[89AB][0-9A-F]"
    forms = (
        "[^%]",
        octets(f"[2-6]{hexadecimal}"),
        octets("7[0-9A-E]"),
        octets("C[2-9A-F]", tail),
        octets(f"D{hexadecimal}", tail),
        octets("E0", f"[AB]{hexadecimal}", tail),
        octets("E[1-9A-CEF]", tail, tail),
        octets("ED", f"[89]{hexadecimal}", tail),
        octets("F0", f"[9AB]{hexadecimal}", tail, tail),
        octets("F[1-3]", tail, tail, tail),
        octets("F4", f"8{hexadecimal}", tail, tail),
    )
    return f"^({'|'.join(forms)})*$"


# -- the hook ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notice:
    """The notice as Asterisk can generate it without a file: its tone string and its length."""

    tones: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Asking:
    """How the hook asks the service.

    `interface` is `ari` or `agi`; `agi` is the text before the entry point in AGI(): `agi://127.0.0.1:4573/` or
    `/usr/bin/idtone-agi,`. The hook sends `secret` with each request over TCP. `waiting` is how many calls may wait for
    a verdict; `overload` is what the hook does with further calls: `shed` or `fallback`. `trunks` are the PJSIP
    endpoints that lead to other nodes of the fleet, and `node` is this node's name there. `diversion_trunks` are those
    whose Diversion or History-Info is believed. `emergency_trunks` are the trunks, resources and contexts of emergency
    calls; without names, all. `unreadable` is what the hook does with a forwarding number that it cannot read: `refuse`
    or `notice`.
    """

    interface: str
    agi: str
    secret: str = field(repr=False)
    waiting: int
    overload: str
    trunks: tuple[str, ...] = ()
    node: str = ""
    diversion_trunks: tuple[str, ...] = ()
    emergency_trunks: tuple[str, ...] = ()
    unreadable: str = "refuse"


@dataclass(frozen=True, slots=True)
class Alone:
    """What the hook does while the service is down.

    `fallback` is `notice` or `refuse`, `refuse_cause` the Q.850 cause of a refusal. `incoming` and `outgoing` say who
    hears the notice (`parties_word`); `answer_first` whether the call is answered before the caller hears it.
    """

    fallback: str
    refuse_cause: int
    incoming: str
    outgoing: str
    answer_first: bool

    @property
    def globals(self) -> dict[str, str]:
        """The hook's global variables for it."""
        return {
            "IDTONE_FALLBACK": self.fallback,
            "IDTONE_REFUSE_CAUSE": str(self.refuse_cause),
            "IDTONE_INCOMING": self.incoming,
            "IDTONE_OUTGOING": self.outgoing,
            "IDTONE_ANSWER_FIRST": "yes" if self.answer_first else "no",
        }


NO_TRUNKS: Final = "^$"
"""Matches no channel's name."""


def _trunks(endpoints: tuple[str, ...]) -> str:
    """A pattern for the names of their channels, `PJSIP/trunk-0000002a`; without endpoints, for none."""
    return f"^PJSIP/{_one_of(endpoints)}-[0-9a-f]+$" if endpoints else NO_TRUNKS


def _one_of(names: tuple[str, ...]) -> str:
    return "(" + "|".join(re.sub("([.+])", r"[\1]", each) for each in names) + ")"


HOOK_FILE: Final = "idtone.conf"
"""The file that `export` writes and that Asterisk's extensions.conf includes."""
HOOK_GLOBAL: Final = "IDTONE_HOOK"
"""The global variable that holds the digest of the loaded hook."""
HOOK_MODE: Final = 0o640
"""The file holds the AGI secret, so other users must not read it."""

_DIGEST: Final = "@DIGEST@"


@dataclass(frozen=True, slots=True)
class Hook:
    """The hook as it is exported. `digest` differs for another version or other settings."""

    text: str = field(repr=False)
    digest: str


def hook(sounds: Path, journal: Path, notice: Notice, asking: Asking, alone: Alone) -> Hook:
    """The hook for these settings. `sounds` and `journal` are folders, as Asterisk sees them.

    A program that Asterisk runs for AGI() gets the name of a variable on its command line, instead of the telephone
    numbers that the variable holds.
    """
    text = (resources.files(__name__) / HOOK_FILE).read_text("utf-8")
    for name, value in {
        **_patterns(asking.emergency_trunks),
        "@NARROWING@": _NARROWING,
        "@EMERGENCY_TRUNKS@": _one_of(asking.emergency_trunks) if asking.emergency_trunks else "[^&/@,]+",
        "@UNREADABLE@": asking.unreadable,
        "@FALLBACK_FILE@": FALLBACK_FILE,
        "@SOUNDS@": str(sounds),
        "@JOURNAL@": str(journal / JOURNAL_FILE),
        "@NOTICE_TONES@": notice.tones,
        "@NOTICE_SECONDS@": f"{notice.duration_ms / 1000:g}",
        "@NOTICE_PACKETS@": str(packets(notice.duration_ms)),
        "@INTERFACE@": asking.interface,
        "@AGI@": asking.agi,
        "@AGI_SECRET@": asking.secret,
        "@WAITING@": str(asking.waiting),
        "@OVERLOAD@": asking.overload,
        **{f"@{name.removeprefix('IDTONE_')}@": value for name, value in alone.globals.items()},
        "@TRUNKS@": _trunks(asking.trunks),
        "@NOW@": _NOW,
        "@TENTHS@": _TENTHS,
        "@DIVERSION_TRUNKS@": _trunks(asking.diversion_trunks),
        "@CALLER_TEXTS@": _CALLER_TEXTS,
        "@CALLER_TEXTS_LIMIT@": str(_CALLER_TEXTS_LIMIT),
        "@CALLER_TEXT_LIMIT@": str(_CALLER_TEXT_LIMIT),
        "@NOT_PRINTABLE@": _NOT_PRINTABLE,
        "@UTF_8@": _utf_8(),
        "@NODE@": node_word(asking.node) if asking.trunks else "",
        "@ASKED@": "${IDTONE_ASKED}" if asking.agi.startswith("agi://") else "variable:IDTONE_ASKED",
    }.items():
        text = text.replace(name, value)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Hook(text.replace(_DIGEST, digest), digest)


def export(directory: Path, exported: Hook) -> list[Path]:
    """Write the hook into `directory`; only its owner and group can read it. Returns the files. Raises OSError."""
    folder, path = directory.stat(), directory / HOOK_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, HOOK_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        status = os.fstat(descriptor)
        os.fchmod(descriptor, HOOK_MODE)
        if os.geteuid() == 0:
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        elif status.st_gid != folder.st_gid:
            os.fchown(descriptor, -1, folder.st_gid)
        file.write(exported.text)
    return [path]
