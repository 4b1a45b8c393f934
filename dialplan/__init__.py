"""The hook in Asterisk's dialplan and the names that it shares with the service.

`idtone.conf` in this package is the hook. Only this package defines the variables, labels and words exchanged by the
hook and the service.
"""

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

from . import expressions, macros, number_expressions

FORWARD_CONTEXT: Final = "idtone-forward"
"""Context in which the caller's channel continues, at a `Verdict.extension`."""
CALLED_CONTEXT: Final = "idtone-called"
"""Context in which the called party's channel continues under the operator's own Dial()."""
FORWARD_PRIORITY: Final = 1
CALLED_PRIORITY: Final = 2
"""Priority to name in Dial()'s Gosub(). Asterisk continues one priority before it."""

CALLED, CALLER = "called", "caller"
"""The hook's words for the two parties."""

FALLBACK_FILE: Final = "fallback.conf"
"""The file next to the sounds for calls while the service is down. It contains the suspended numbers, which the hook
refuses, and the node's own numbers; the hook also refuses all others. The service and `idtone registry update` write
it.
"""
FALLBACK_SUSPENDED: Final = "suspended"
"""The section with the suspended numbers: 81312345xxx = start:end/start in Unix seconds."""
FALLBACK_OWN: Final = "own"
"""The section with the numbers that this node may use, in the same form. If the node may use any, the section has
`FALLBACK_ALL` = yes.
"""
FALLBACK_ALL: Final = "all"
FALLBACK_LIST: Final = "never-originates"
"""The section that announces numbers that never originate. Its `entries` is their count."""
FALLBACK_NEVER: Final = f"{FALLBACK_LIST}-"
"""The sections with the numbers that never originate, in the form of the suspended numbers. Asterisk searches a section
entry by entry, so there is one section for each value of the `FALLBACK_NEVER_DIGITS` digits before the x of a pattern:
81312345xxx is in `never-originates-345`.
"""
FALLBACK_NEVER_DIGITS: Final = 3
FALLBACK_END: Final = "end"
"""The last section. Without its last line, `FALLBACK_COMPLETE` = yes, the hook refuses every call."""
FALLBACK_COMPLETE: Final = "complete"
FALLBACK_DIGEST: Final = "sha256"
"""An entry of the last section, before its last line: the digest of everything before that section, in hexadecimal
digits. It shows the hook whether Asterisk has read the file that is on disk.
"""
FALLBACK_LINES: Final = "lines"
"""An entry of the last section. If it is yes, the hook checks `LINES_FILE` before it connects an outgoing call."""
LINES_FILE: Final = "fallback-lines.conf"
"""The file next to the sounds with the customer lines, for outgoing calls while the service is down. It contains the
group of each endpoint and account code (6001 = 6001:17) and each group's numbers, in the form of the section
`FALLBACK_OWN`. It ends like `FALLBACK_FILE`; without that end, the hook refuses outgoing calls. The service writes it.
"""
LINES_ENDPOINTS: Final = "endpoints"
LINES_ACCOUNTS: Final = "accounts"
LINES_GROUP: Final = "line"
"""First word of a group's section name, before the group's number."""
JOURNAL_FILE: Final = "calls"
"""The file in the journal's folder to which the hook writes."""
PACKET_MS: Final = 20
"""Duration of an RTP packet in ms, by Asterisk's default and in every network that we know of."""


def packets(duration_ms: float) -> int:
    """Number of RTP packets that Asterisk sends for a sound."""
    return -int(-duration_ms // PACKET_MS)


class Played(StrEnum):
    """The means by which the hook played a sound, as recorded in a journal line."""

    FIRST = "first"
    """Playback() played it to the called party alone."""
    DIAL = "dial"
    """Dial() played it, with its option A(), to the caller or to both parties."""
    AGAIN = "again"
    """Playback() played it, because some of its packets were missing at first."""
    OWN = "own"
    """Playback() played it under the operator's own Dial()."""
    NOTICE = "notice"
    """Playback() played the notice, because the sound could not be played."""
    TONES = "tones"
    """Playtones() played the notice, because its file could not be played either."""


def parties_word(parties: tuple[str, ...]) -> str:
    """Word for a set of parties: `called`, `caller`, `both` or `none`."""
    return {(): "none", (CALLED,): CALLED, (CALLER,): CALLER}.get(parties, "both")


EXTENSION_LIMIT: Final = 79
"""Maximum number of characters of an extension in Asterisk."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The service's answer to the hook, in the form that the hook reads.

    The hook ignores a verdict without the nonce of its request. `files` maps each party to the name of its sound file.
    `packets` is the length of the called party's sound. `chain` is the MAC of the token for the next node
    (`call_control.chain_token`). For a call without a token, it is `CHAINED`, because another node plays its sound.
    That call's legs on this PBX get no sound either.
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
        """Value of the channel variable `VERDICT_VARIABLE`."""
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
        """Dialplan extension that carries the verdict. The hook gets either all of it or nothing."""
        return f"v:{self.text}"


CHAINED: Final = "-"
"""The word used instead of a MAC. It is shorter, so that the hook can tell them apart."""
NO_VERDICT: Final = "v:none"
"""The extension at which a called party's channel continues without a verdict."""
VERDICT_VARIABLE: Final = "IDTONE_VERDICT"


def channel_of(call_id: str) -> str:
    """Uniqueid of the channel in a call id: `1795564585.21-1` → `1795564585.21`.

    If an ARI application chose the channel's id, the call id contains it URI-encoded.
    """
    return unquote(call_id.rpartition("-")[0])


_DIALLED_USER: Final = re.compile(r"(?i:local)/([^@/;,]*)|[^/]+/(?:[^/]*/)?(?:sips?:)?([^@/;,]*)")
"""The dialled user after the last slash, where a Local channel has its options."""


def dialled_user(dial_string: str) -> str:
    """User part of a dial string such as `PJSIP/0312345678@trunk`; for a ring group, the first destination's.

    Other forms are `PJSIP/trunk/sip:0312345678@host` and `Local/0312345678@context/n`.
    """
    match = _DIALLED_USER.match(dial_string.partition("&")[0])
    return (match[1] or match[2] or "") if match else ""


def endpoints(dial_string: str) -> set[str]:
    """PJSIP endpoints in a dial string.

    `PJSIP/0312345678@trunk&PJSIP/other/sip:0312345678@host` yields `trunk` and `other`.
    """
    found = set[str]()
    for destination in dial_string.split("&"):
        technology, _, rest = destination.strip().partition("/")
        if technology.upper() == "PJSIP":
            endpoint, is_request, _ = rest.partition("/")
            found.add(endpoint if is_request else rest.rpartition("@")[2])
    return found


_SEQUENCE: Final = re.compile(r"-[0-9a-f]{1,16}(?:;[12])?$")
"""Suffix with which Asterisk makes a channel's name unique."""


def endpoint_of(channel: str) -> str:
    """Resource in a channel name: `PJSIP/6001-0000002a` → `6001`, `Local/10@from-x-0001;2` → `10@from-x`."""
    return _SEQUENCE.sub("", channel.partition("/")[2])


def node_word(node: str) -> str:
    """Encode a node name for chain tokens and SIP headers, without the token's separators."""
    return quote(node, safe="").replace(".", "%2E")


# -- the hook ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notice:
    """The notice as Asterisk can generate it without a file, with its tone string and length."""

    tones: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class RequestParameters:
    """The hook's parameters for requests to the service.

    `interface` is `ari` or `agi`; `agi` is the text before the entry point in AGI(): `agi://127.0.0.1:4573/` or
    `/usr/bin/idtone-agi,unix:/run/idtone/agi.sock,`. The hook sends `secret` with each request over TCP. `waiting` is
    how many calls may wait for a verdict. `overload` is how additional calls are treated: `shed` or `fallback`.
    `trunks` are the PJSIP endpoints that lead to other nodes of the fleet, and `node` is this node's name there.
    `diversion_trunks` are those whose Diversion or History-Info is trusted; `identity_trunks` are those to which a
    forwarded call passes on its Identity. `emergency_trunks` are the trunks, resources and contexts of emergency calls;
    empty means all. `unreadable` is how the hook treats a forwarding number that it cannot read: `refuse` or `notice`.
    """

    interface: str
    agi: str
    secret: str = field(repr=False)
    waiting: int
    overload: str
    trunks: tuple[str, ...] = ()
    node: str = ""
    diversion_trunks: tuple[str, ...] = ()
    identity_trunks: tuple[str, ...] = ()
    emergency_trunks: tuple[str, ...] = ()
    unreadable: str = "refuse"


@dataclass(frozen=True, slots=True)
class FallbackParameters:
    """The hook's parameters for calls while the service is down.

    `fallback` is `notice` or `refuse`. `refuse_cause` is the Q.850 cause of a refusal. `incoming` and `outgoing` are
    the parties that hear the notice (`parties_word`). With `answer_first`, the call is answered before the caller hears
    the notice.
    """

    fallback: str
    refuse_cause: int
    incoming: str
    outgoing: str
    answer_first: bool

    @property
    def globals(self) -> dict[str, str]:
        """Global dialplan variables for these parameters."""
        return {
            "IDTONE_FALLBACK": self.fallback,
            "IDTONE_REFUSE_CAUSE": str(self.refuse_cause),
            "IDTONE_INCOMING": self.incoming,
            "IDTONE_OUTGOING": self.outgoing,
            "IDTONE_ANSWER_FIRST": "yes" if self.answer_first else "no",
        }


@dataclass(frozen=True, slots=True)
class Canary:
    """Parameters for the canary's dialplan contexts.

    `directory` is the folder of the recordings, as Asterisk sees it. The answering leg records for `listens_s` seconds.
    """

    directory: Path
    listens_s: int


CANARY_CONTEXT: Final = "idtone-canary"
"""Context of the calling leg. The calling Local channel begins at `s`, and its other end at `listen`."""
CANARY_LISTEN: Final = "listen"
CANARY_ARRIVED, CANARY_RETURNED = "arrived", "returned"
"""The `.sln` recordings in the canary's folder: the sound at the answering leg and its playback at the calling leg."""
CANARY_VARIABLES: Final = ("DIAL", "NUMBER", "DIRECTION", "TIMEOUT", "CALLED")
"""Variables that the calling leg needs, each with `CANARY_PREFIX`."""
CANARY_PREFIX: Final = "IDTONE_CANARY_"
_CANARY_FILE: Final = "canary.conf"


def _canary(canary: Canary | None) -> str:
    if canary is None:
        return ""
    text = (resources.files(__name__) / _CANARY_FILE).read_text("utf-8")
    for name, value in {
        "@CANARY@": str(canary.directory),
        "@ARRIVED@": CANARY_ARRIVED,
        "@RETURNED@": CANARY_RETURNED,
        "@ARRIVED_SECONDS@": str(canary.listens_s),
        # It begins some seconds after the answering leg's, and continues while that plays back.
        "@RETURNED_SECONDS@": str(2 * canary.listens_s + 1),
    }.items():
        text = text.replace(name, value)
    return text


NO_TRUNKS: Final = "^$"
"""A pattern that matches no channel name."""


def _trunks(endpoints: tuple[str, ...]) -> str:
    return f"^PJSIP/{_one_of(endpoints)}-[0-9a-f]+$" if endpoints else NO_TRUNKS


def _one_of(names: tuple[str, ...]) -> str:
    return "(" + "|".join(re.sub("([.+])", r"[\1]", each) for each in names) + ")"


HOOK_FILE: Final = "idtone.conf"
"""The file that `export` writes and that Asterisk's extensions.conf includes."""
HOOK_GLOBAL: Final = "IDTONE_HOOK"
"""The global variable with the digest of the loaded hook."""
HOOK_MODE: Final = 0o640
"""File mode. The file contains the AGI secret, so other users must not read it."""

_DIGEST: Final = "@DIGEST@"


@dataclass(frozen=True, slots=True)
class Hook:
    """The hook's text for Asterisk. `digest` changes with idtone's version and the settings."""

    text: str = field(repr=False)
    digest: str


def hook(
    sounds: Path,
    journal: Path,
    notice: Notice,
    asking: RequestParameters,
    alone: FallbackParameters,
    canary: Canary | None = None,
) -> Hook:
    """Build the hook for the given settings. `sounds` and `journal` are folders as Asterisk sees them.

    With `canary`, the hook includes the canary's contexts. A program that Asterisk runs for AGI() gets variable names
    on its command line rather than the telephone numbers in them.
    """
    text = macros.expand((resources.files(__name__) / HOOK_FILE).read_text("utf-8")) + _canary(canary)
    for name, value in {
        **number_expressions.patterns(asking.emergency_trunks),
        "@NARROWING@": number_expressions.NARROWING,
        "@EMERGENCY_TRUNKS@": _one_of(asking.emergency_trunks) if asking.emergency_trunks else "[^&/@,]+",
        "@UNREADABLE@": asking.unreadable,
        "@FALLBACK_FILE@": FALLBACK_FILE,
        "@FALLBACK_LIST@": FALLBACK_LIST,
        "@FALLBACK_LINES@": FALLBACK_LINES,
        "@LINES_FILE@": LINES_FILE,
        "@FALLBACK_NEVER@": FALLBACK_NEVER,
        "@FALLBACK_NEVER_DIGITS@": str(FALLBACK_NEVER_DIGITS),
        "@FALLBACK_DIGEST@": FALLBACK_DIGEST,
        "@FALLBACK_DIGEST_AT@": str(-len(f"{'0' * 64}\n{FALLBACK_COMPLETE} = yes\n")),
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
        "@NO_TRUNKS@": NO_TRUNKS,
        "@TRUNKS@": _trunks(asking.trunks),
        "@NOW@": expressions.NOW,
        "@TENTHS@": expressions.TENTHS,
        "@DIVERSION_TRUNKS@": _trunks(asking.diversion_trunks),
        "@IDENTITY_TRUNKS@": _trunks(asking.identity_trunks),
        "@IDENTITY@": expressions.IDENTITY if asking.identity_trunks else "",
        "@LEG@": expressions.leg_option(with_token=bool(asking.trunks), with_identity=bool(asking.identity_trunks)),
        "@CALLER_TEXTS@": expressions.CALLER_TEXTS,
        "@CALLER_TEXTS_LIMIT@": str(expressions.CALLER_TEXTS_LIMIT),
        "@CALLER_TEXT_LIMIT@": str(expressions.CALLER_TEXT_LIMIT),
        "@NOT_PRINTABLE@": expressions.NOT_PRINTABLE,
        "@UTF_8@": expressions.utf_8_pattern(),
        "@SHOWN_NAME@": expressions.SHOWN_NAME,
        "@DIGITS@": expressions.other_digits_pattern(),
        "@PRESENTED@": expressions.PRESENTED,
        "@ANONYMOUS@": expressions.ANONYMOUS,
        "@DIVERTED@": expressions.DIVERTED,
        "@DIVERTED_AGAIN@": expressions.DIVERTED_AGAIN,
        "@NO_DIVERSION@": expressions.NO_DIVERSION,
        "@NODE@": node_word(asking.node) if asking.trunks else "",
        "@ASKED@": "${IDTONE_ASKED}" if asking.agi.startswith("agi://") else "variable:IDTONE_ASKED",
    }.items():
        text = text.replace(name, value)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Hook(text.replace(_DIGEST, digest), digest)


def export(directory: Path, exported: Hook) -> list[Path]:
    """Write the hook to `directory`, readable by its owner and group. Returns the files. Raises OSError."""
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
