"""The hook in Asterisk's dialplan, and the names that it shares with the service.

`idtone.conf` beside this file is the hook. Every variable, label and word that crosses between it and the service is
named here and nowhere else.
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

FORWARD_CONTEXT: Final = "idtone-forward"
"""The caller's channel continues here at a `Verdict.extension`."""
CALLED_CONTEXT: Final = "idtone-called"
"""The called party's channel under the operator's own Dial() continues here at a `Verdict.extension`."""
FORWARD_PRIORITY: Final = 1
CALLED_PRIORITY: Final = 2
"""Inside the Gosub() of Dial() Asterisk goes on one priority before the named one."""

CALLED, CALLER = "called", "caller"
"""The two parties, in the hook's words."""

FALLBACK_FILE: Final = "fallback.conf"
"""Beside the sounds: what the hook decides by while the service is down; written by the service, read by the hook."""
FALLBACK_POLICY: Final = "policy"
"""Its section of `service_away` (`notice` or `refuse`), `refuse_cause` (Q.850), who hears the notice for each direction
(`incoming`, `outgoing`: as in a journal line) and whether a caller who does is answered first (`answer_first`)."""
FALLBACK_SUSPENDED: Final = "suspended"
"""Its section of suspended numbers: E.164 digits = since when, in Unix seconds."""
JOURNAL_FILE: Final = "calls"
"""In the journal's folder: the file that the hook writes to."""
PACKET_MS: Final = 20
"""What an RTP packet holds, in Asterisk as it is shipped and in every network that we know of."""


def packets(duration_ms: float) -> int:
    """How many RTP packets Asterisk sends of a sound."""
    return -int(-duration_ms // PACKET_MS)


class Played(StrEnum):
    """How the hook played a sound, in a journal line."""

    DIAL = "dial"
    """Dial() played it, option A()."""
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
"""Characters that Asterisk takes for an extension."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision as the hook takes it. It counts only with the nonce that the hook gave along with its request.

    `files` are the names of the sounds in their folder, by party; `packets` is the length of the called party's.
    """

    nonce: str
    outcome: str
    reason: str
    hangup_cause: int | None = None
    answer_first: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    packets: int = 0

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
            )
        )

    @property
    def extension(self) -> str:
        """The extension that is the verdict: a call goes there with all of it or not at all."""
        return f"v:{self.text}"


NO_VERDICT: Final = "v:none"
"""The extension by which a called party's channel continues without a verdict."""
VERDICT_VARIABLE: Final = "IDTONE_VERDICT"


def channel_of(call_id: str) -> str:
    """The unique id of the channel that a call id was made from: `1795564585.21-1` → `1795564585.21`."""
    return call_id.rpartition("-")[0]


_DIALLED_USER: Final = re.compile(r"(?i:local)/([^@/;,]*)|[^/]+/(?:[^/]*/)?(?:sips?:)?([^@/;,]*)")
"""A Local channel has its options behind the last slash, every other one what is dialled."""


def dialled_user(dial_string: str) -> str:
    """The user part of a dial string, in a ring group the first one's.

    `PJSIP/0312345678@trunk`, `PJSIP/trunk/sip:0312345678@host`, `Local/0312345678@context/n`.
    """
    found = _DIALLED_USER.match(dial_string.partition("&")[0])
    return (found[1] or found[2] or "") if found else ""


# -- emergency numbers in every spelling ------------------------------------------------------------------------------
# POSIX extended regular expressions for the dialplan. `numbers.parse` reads the same spellings; a table in the tests
# runs through both.

_WIDE: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
"""ASCII → full-width characters."""
_SEPARATORS: Final = "[-().[:space:]]*"
_WIDE_SEPARATORS: Final = "([-().[:space:]]|（|）|－|‐|‑|‒|–|—|―|−|ー|ｰ|．|　|\u00a0)*"


def _spelled(characters: str, separators: str, wide: bool) -> str:
    """These characters in either case, each in either width where `wide`, with separators after each."""
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
    """What stands in the hook for each test."""
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
    """The notice as Asterisk can make it without any file: its tone string and its length."""

    tones: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Asking:
    """How the hook asks the service.

    `door` is `ari` or `agi`; `agi` is what comes before the entry point in AGI(): `agi://127.0.0.1:4573/` or
    `/usr/bin/idtone-agi,`. `secret` goes along with each request over TCP. `waiting` is how many calls may wait for a
    verdict, `overload` what becomes of the others: `shed` or `alone`.
    """

    door: str
    agi: str
    secret: str = field(repr=False)
    waiting: int
    overload: str


HOOK_FILE: Final = "idtone.conf"
"""What `export` writes, and Asterisk's extensions.conf includes."""
HOOK_GLOBAL: Final = "IDTONE_HOOK"
"""The global variable by which the loaded hook says which text it is."""
HOOK_MODE: Final = 0o640
"""It holds the secret of AGI."""

_DIGEST: Final = "@DIGEST@"


@dataclass(frozen=True, slots=True)
class Hook:
    """The hook as it is exported; `digest` tells this text from that of another version or of other settings."""

    text: str = field(repr=False)
    digest: str


def hook(sounds: Path, journal: Path, notice: Notice, asking: Asking) -> Hook:
    """The hook for these settings. `sounds` and `journal` are folders, as Asterisk sees them.

    A program that Asterisk runs for AGI() gets no numbers on its command line, but the name of the variable that has
    them.
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
        "@DOOR@": asking.door,
        "@AGI@": asking.agi,
        "@AGI_SECRET@": asking.secret,
        "@WAITING@": str(asking.waiting),
        "@OVERLOAD@": asking.overload,
        "@ASKED@": "${IDTONE_ASKED}" if asking.agi.startswith("agi://") else "variable:IDTONE_ASKED",
    }.items():
        text = text.replace(name, value)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Hook(text.replace(_DIGEST, digest), digest)


def export(directory: Path, exported: Hook) -> list[Path]:
    """Write the hook into `directory`, for its owner and group alone, and return what was written. Raises OSError."""
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
