"""The hook in Asterisk's dialplan, and the names that it shares with the service.

`idtone.conf` beside this file is the hook. Every variable, label and word that crosses between it and
the service is named here and nowhere else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final

FORWARD_CONTEXT: Final = "idtone-forward"
"""Where the caller's channel is; it goes on at a `verdict` there."""

CALLED_CONTEXT: Final = "idtone-called"
"""Where the called party's channel is who alone hears something; it goes on at a `Heard` there."""

BOTH_CONTEXT: Final = "idtone-both"
"""Where both channels are where the caller hears something; each goes on at a `Heard` there."""

CALLED, CALLER = "called", "caller"
"""The two parties, in the hook's words."""

ALONE_FILE: Final = "alone.conf"
"""Beside the sounds: what Asterisk knows while the service is away; written by the service, read by the hook."""
ALONE_POLICY: Final = "policy"
"""Its section of `service_away` (`notice` or `refuse`), `refuse_cause` (Q.850), who hears the notice for each direction
(`incoming`, `outgoing`: as in a verdict) and whether a caller who does is answered first (`answer_first`)."""
ALONE_SUSPENDED: Final = "suspended"
"""Its section of suspended numbers: E.164 digits = since when, in Unix seconds."""
UNATTENDED_FILE: Final = "unattended/calls"
"""Beside the sounds: what the hook did without the service, as `Unattended` reads it; taken away by the service."""


class Heard(StrEnum):
    """How the sound on a channel went: the extension that comes next in its context."""

    HEARD = "heard"
    """Or there is nothing to hear: connect."""
    UNHEARD = "unheard"
    """The hook plays the notice by itself."""
    REFUSED = "refused"


RESUME_PRIORITY: Final = 2
"""Where to go on in an extension of the hook; it says why not at 1."""


def parties_word(parties: tuple[str, ...]) -> str:
    """`called`, `caller`, `both` or `none`."""
    return {(): "none", (CALLED,): CALLED, (CALLER,): CALLER}.get(parties, "both")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision as the hook takes it. It counts only with the nonce that the hook gave along with its question.

    `guard_s` is how long the hook waits for a sound; `files` are the sounds' names in its folder, for a door through
    which Asterisk plays them itself.
    """

    nonce: str
    outcome: str
    reason: str
    hangup_cause: int | None = None
    guard_s: int = 0
    parties: tuple[str, ...] = ()
    answer_first: bool = False
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def extension(self) -> str:
        """The extension of `FORWARD_CONTEXT` that is the verdict: a call goes there with all of it or not at all.

        Asterisk takes 79 characters, so without the files.
        """
        return f"v:{self._fields}"

    @property
    def variable(self) -> str:
        """The value of the channel variable `VERDICT_VARIABLE`."""
        return ":".join((self._fields, self.files.get(CALLED, ""), self.files.get(CALLER, "")))

    @property
    def _fields(self) -> str:
        return ":".join(
            (
                self.nonce,
                self.outcome,
                self.reason,
                str(self.hangup_cause or ""),
                str(self.guard_s),
                parties_word(self.parties),
                "answer" if self.answer_first else "early",
            )
        )


VERDICT_VARIABLE: Final = "IDTONE_VERDICT"
WATCHED_VARIABLE: Final = "IDTONE_WATCHED"
"""The nonce again, where ARI events tell the service how the call ends."""
TURNED_AWAY_VARIABLE: Final = "IDTONE_TURNED_AWAY"
"""A global one: how many calls the hook turned away since Asterisk was started. Two in the same instant may be one.
"""
ON_HOLD: Final = "CHANNEL(rtp,hold,audio)"
"""1 where the phone holds the call; of PJSIP's channels."""
HEARD_VARIABLE: Final = "IDTONE_HEARD"
"""`nonce:heard` or `nonce:unheard`, the answer to what the hook tells of a sound that Asterisk played."""


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


@dataclass(frozen=True, slots=True)
class Notice:
    """The notice as Asterisk can make it without any file: its tone string and its length."""

    tones: str
    duration_ms: float


HOOK_FILE: Final = "idtone.conf"
"""What `export` writes, and Asterisk's extensions.conf includes."""
HOOK_GLOBAL: Final = "IDTONE_HOOK"
"""The global variable by which the loaded hook says which text it is."""

_DIGEST: Final = "@DIGEST@"


@dataclass(frozen=True, slots=True)
class Hook:
    """The hook as it is exported; `digest` tells this text from that of another version or of other settings."""

    text: str
    digest: str


def hook(sounds: Path, notice: Notice, door: str, agi: str, waiting: int, overload: str) -> Hook:
    """The hook for these settings.

    `sounds` is the folder of the sounds, as Asterisk sees it; `door` is `ari` or `agi`, `agi` what comes before the
    entry point in AGI(): `agi://127.0.0.1:4573/` or `/usr/bin/idtone-agi,`. A program gets no numbers on its command
    line, but the name of the variable that has them. `waiting` is how many calls may wait for a verdict, `overload`
    what becomes of the others: `shed` or `alone`.
    """
    text = (resources.files(__name__) / HOOK_FILE).read_text("utf-8")
    for name, value in {
        "@SOUNDS@": str(sounds),
        "@UNATTENDED@": str(sounds / UNATTENDED_FILE),
        "@NOTICE_TONES@": notice.tones,
        "@NOTICE_SECONDS@": f"{notice.duration_ms / 1000:g}",
        "@DOOR@": door,
        "@AGI@": agi,
        "@WAITING@": str(waiting),
        "@OVERLOAD@": overload,
        "@ASKED@": "${IDTONE_ASKED}" if agi.startswith("agi://") else "variable:IDTONE_ASKED",
    }.items():
        text = text.replace(name, value)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Hook(text.replace(_DIGEST, digest), digest)


def export(directory: Path, exported: Hook) -> list[Path]:
    """Write the hook into `directory` and return what was written. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / HOOK_FILE
    path.write_text(exported.text, "utf-8")
    return [path]
