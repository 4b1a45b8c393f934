"""The hook in Asterisk's dialplan, and the names that it shares with the service.

`idtone.conf` beside this file is the hook. Every variable, label and word that crosses between it and
the service is named here and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final

FORWARD_CONTEXT: Final = "idtone-forward"
"""Where the caller's channel is; it goes on at a `verdict` there."""

CALLED_CONTEXT: Final = "idtone-called"
"""Where the called party's channel is; it goes on at a `Heard` there."""

ALONE_FILE: Final = "alone.conf"
"""Beside the sounds: what Asterisk knows while the service is away; written by the service, read by the hook."""
ALONE_POLICY: Final = "policy"
"""Its section of `service_away` (`notice` or `refuse`) and `refuse_cause` (Q.850)."""
ALONE_SUSPENDED: Final = "suspended"
"""Its section of suspended numbers: E.164 digits = since when, in Unix seconds."""


class Heard(StrEnum):
    """How the sound on the called channel went: the extension of `CALLED_CONTEXT` that comes next."""

    HEARD = "heard"
    """Or there is nothing to hear: connect."""
    UNHEARD = "unheard"
    """The hook plays the notice by itself."""
    REFUSED = "refused"


RESUME_PRIORITY: Final = 2
"""Where to go on in an extension of the hook; it says why not at 1."""


def verdict(call_id: str, outcome: str, reason: str, hangup_cause: int | None, guard_s: int) -> str:
    """The extension that is the decision: a call goes there with all of it or not at all.

    Asterisk takes 79 characters; only the number of the call on its channel stands for the call id.
    """
    return f"v:{call_id.rpartition('-')[2]}:{outcome}:{reason}:{hangup_cause or ''}:{guard_s}"


def channel_of(call_id: str) -> str:
    """The unique id of the channel that a call id was made from: `1795564585.21-1` → `1795564585.21`."""
    return call_id.rpartition("-")[0]


_DIALLED_USER: Final = re.compile(r"(?i:local)/([^@/;,]*)|[^/]+/(?:.*/)?(?:sips?:)?([^@/;,]*)")
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


def export(directory: Path, sounds: Path, notice: Notice) -> list[Path]:
    """Write the hook into `directory` and return what was written. Raises OSError."""
    text = (resources.files(__name__) / "idtone.conf").read_text("utf-8")
    for name, value in {
        "@SOUNDS@": str(sounds),
        "@NOTICE_TONES@": notice.tones,
        "@NOTICE_SECONDS@": f"{notice.duration_ms / 1000:g}",
    }.items():
        text = text.replace(name, value)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "idtone.conf"
    path.write_text(text, "utf-8")
    return [path]
