"""The hook in Asterisk's dialplan, and the names that it shares with the service.

`idtone.conf` beside this file is the hook. This module alone defines the variables, labels and words that the hook and
the service exchange.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
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
"""The file beside the sounds by which the hook decides while the service is down. The service writes it."""
FALLBACK_POLICY: Final = "policy"
"""The section with `fallback` (`notice` or `refuse`), `refuse_cause` (Q.850), `incoming` and `outgoing` (who hears
the notice, as in a journal line), and `answer_first` (whether the call is answered before the caller hears it)."""
FALLBACK_SUSPENDED: Final = "suspended"
"""The section with the suspended numbers: 81312345xxx = start:end/start in Unix seconds."""
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


# -- emergency numbers in every spelling ------------------------------------------------------------------------------
# POSIX extended regular expressions for the dialplan. `numbers.parse` reads the same spellings; the tests run one table
# through both.

_WIDE: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
"""ASCII → full-width characters."""
_SEPARATORS: Final = "[-().[:space:]]*"
_WIDE_SEPARATORS: Final = "([-().[:space:]]|（|）|－|‐|‑|‒|–|—|―|−|ー|ｰ|．|　|\u00a0)*"


def _spelled(characters: str, separators: str, wide: bool) -> str:
    """A pattern for these characters in either case, with separators after each; in either width if `wide`."""
    return "".join(_either(each, wide) + separators for each in characters)


def _either(character: str, wide: bool) -> str:
    forms = sorted({character, character.upper()})
    narrow = f"[{''.join(forms)}]"
    return f"({'|'.join((narrow, *(form.translate(_WIDE) for form in forms)))})" if wide else narrow


def _emergency(wide: bool) -> str:
    """`110`, `1-1-9`, `(118)`, `184110`, `+81110`, `tel:110`, `sip:119@host`, `110;phone-context=+81`."""
    separators = _WIDE_SEPARATORS if wide else _SEPARATORS

    def one_of(*spellings: str) -> str:
        return "(" + "|".join(_spelled(each, separators, wide) for each in spellings) + ")"

    scheme = "(" + "|".join(_spelled(each, "", wide) for each in ("tel:", "sip:", "sips:")) + ")?"
    country = f"({one_of('+', '00', '010')}{_spelled('81', separators, wide)})?"
    return f"{separators}{scheme}{separators}{country}{one_of('184', '186')}?{one_of('110', '118', '119')}"


def _patterns() -> dict[str, str]:
    """Placeholder in the hook → the pattern that replaces it."""
    return {
        f"@EMERGENCY{dialled}{name}@": f"{start}{_emergency(wide)}{end}".replace(";", "\\;")
        for name, wide in (("", False), ("_WIDE", True))
        for dialled, start, end in (
            ("", "^", f"({'([;@]|；|＠)' if wide else '[;@]'}.*)?$"),
            ("_DIALLED", "(^|&)[A-Za-z0-9]+/([^/&]*/)?", "([@&;,]|/[A-Za-z]*(&|$)|$)"),
        )
    }


_TO_NARROW: Final = "\n".join(
    f" same = n,Set(LOCAL(number)=${{STRREPLACE(number,{each.translate(_WIDE)},{each})}})".replace(";", "\\;")
    for each in "0123456789+@;"
)


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
    endpoints that lead to other nodes of the fleet, and `node` is this node's name there.
    """

    interface: str
    agi: str
    secret: str = field(repr=False)
    waiting: int
    overload: str
    trunks: tuple[str, ...] = ()
    node: str = ""


NO_TRUNKS: Final = "^$"
"""Matches no channel's name."""


def _trunks(endpoints: tuple[str, ...]) -> str:
    """A pattern for the names of their channels, `PJSIP/trunk-0000002a`; without endpoints, for none."""
    names = "|".join(re.sub("([.+])", r"[\1]", each) for each in endpoints)
    return f"^PJSIP/({names})-[0-9a-f]+$" if names else NO_TRUNKS


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


def hook(sounds: Path, journal: Path, notice: Notice, asking: Asking) -> Hook:
    """The hook for these settings. `sounds` and `journal` are folders, as Asterisk sees them.

    A program that Asterisk runs for AGI() gets the name of a variable on its command line, instead of the telephone
    numbers that the variable holds.
    """
    text = (resources.files(__name__) / HOOK_FILE).read_text("utf-8")
    for name, value in {
        **_patterns(),
        "@WIDE_DIGITS@": _TO_NARROW,
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
        "@TRUNKS@": _trunks(asking.trunks),
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
