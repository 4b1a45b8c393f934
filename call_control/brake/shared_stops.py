"""Stops and releases in the form read by other nodes and by the service after a restart.

Each stop or release names its subject by a token. On each node, a release ends the stops that began before it but no
later ones. Nodes therefore reach the same result no matter how often and in which order they learn of stops and
releases.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from idtone.core.numbers import holds_number

from .limits import BrakeStep, LineKind, SubjectKind

MOST_STOPS: Final = 10_000
"""Maximum number of stops, and of releases, that a node keeps."""
MOST_TOLD: Final = 100
"""Maximum number of stops, and of releases, that a node sends to the others: the newest ones."""
_LONGEST: Final = 200
_TOKEN_BYTES: Final = 12


def token_of(key: bytes, kind: SubjectKind, name: str) -> str:
    """Token of a subject: a keyed hash of its name, which is the same on all nodes with the key."""
    return hashlib.blake2b(f"{kind}\0{name}".encode(), key=key[:64], digest_size=_TOKEN_BYTES).hexdigest()


def brake_key(secret: bytes) -> bytes:
    """Derive the brake's key from the fleet's or ledger's key."""
    return hmac.new(secret, b"idtone brake", hashlib.sha256).digest()


def label_of(kind: SubjectKind, name: str) -> str:
    """Printable part of a subject's name; empty for a number or a name that contains one."""
    return "" if kind is SubjectKind.NUMBER or not name.isprintable() or holds_number(name) else name[:_LONGEST]


@dataclass(frozen=True, slots=True)
class Hold:
    """A subject that the brake has marked, slowed or stopped.

    `call_id` is the call that caused the step. Investigators can find the subject's number through this call.
    """

    token: str
    kind: SubjectKind
    line: LineKind
    label: str
    step: BrakeStep
    signal: str
    since_s: float
    node: str
    call_id: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"step": self.step.word}

    @classmethod
    def of_json(cls, told: Any) -> Hold:
        """Parse a hold from the JSON of another node. Raises LookupError, TypeError, ValueError or AttributeError."""
        token = str(told["token"])
        if len(bytes.fromhex(token)) != _TOKEN_BYTES:
            raise ValueError
        texts = [_text(told[name]) for name in ("label", "signal", "node", "call_id")]
        return cls(
            token,
            SubjectKind(told["kind"]),
            LineKind(told["line"]),
            texts[0],
            BrakeStep[told["step"].upper()],
            texts[1],
            float(told["since_s"]),
            texts[2],
            texts[3],
        )


def _text(value: Any) -> str:
    return "".join(each if each.isprintable() else "�" for each in str(value)[:_LONGEST])


def releases_of_json(told: Any) -> dict[str, float]:
    """Parse releases from the JSON of another node. Raises AttributeError, TypeError or ValueError."""
    return {str(token)[: 2 * _TOKEN_BYTES]: float(at) for token, at in told.items()}


def is_released(token: str, since_s: float, released: Mapping[str, float]) -> bool:
    return released.get(token, 0.0) >= since_s
