"""Settings under `canary`: a test call that checks the sound."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from ..calls import Direction
from ..numbers import Number, NumberKind, parse
from ..translation import Message
from ..yaml_documents import Model
from .values import EndpointName

_NOT_CALLED: Final = frozenset({NumberKind.EMERGENCY, NumberKind.MALFORMED, NumberKind.WITHHELD})


def _callable(value: str) -> str:
    """Validate a complete telephone number for canary calls. Raises ValueError, including for an emergency number."""
    kind = parse(value).kind
    if kind is NumberKind.EMERGENCY:
        raise ValueError(
            Message("is an emergency number, which idtone never calls"), Message("Name a number of your own")
        )
    if kind in _NOT_CALLED or not re.fullmatch(r"\+?[0-9]+", value):
        raise ValueError(
            Message("is not a complete telephone number"), Message("Write it like 0312345678 or +81312345678")
        )
    return value


CanaryNumber = Annotated[str, AfterValidator(_callable)]


class Answered(StrEnum):
    """The end of the canary call whose recording is examined."""

    HERE = "here"
    """This node answers and records what arrives."""
    ELSEWHERE = "elsewhere"
    """Another node answers and plays back what arrives there."""


class CanarySettings(Model):
    """Settings for `idtone canary`: the numbers, the trunk, the interval and the expected sound of the test call."""

    forwarding_number: CanaryNumber | None = Field(default=None, repr=False)
    called_number: CanaryNumber | None = Field(default=None, repr=False)
    trunk: EndpointName | None = None
    """The PJSIP endpoint through which the call leaves."""
    direction: Direction = Direction.OUTGOING
    answered: Answered = Answered.HERE
    answers: bool = False
    """True if this node answers the canary of another node."""
    expect: Literal["licensed", "notice"] = "licensed"
    """The sound that the called party should hear."""
    timeout: Annotated[timedelta, Field(ge=timedelta(seconds=5), le=timedelta(minutes=2))] = timedelta(seconds=30)
    """How long the trunk has to answer."""
    every: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=7))] = timedelta(minutes=15)
    result: Path = Path("/var/lib/idtone/canary.json")
    """The file with the latest result."""
    spool: Path = Path("/var/spool/asterisk/outgoing")
    """The folder from which Asterisk reads call files. A node without ARI places its call with such a file."""

    @property
    def missing(self) -> list[str]:
        """Names of required keys that are not set."""
        return [name for name in ("forwarding_number", "called_number", "trunk") if getattr(self, name) is None]

    @property
    def is_on(self) -> bool:
        """True if this node places canary calls."""
        return not self.missing

    @property
    def exported(self) -> bool:
        """True if the exported hook includes the canary's contexts."""
        return self.is_on or self.answers

    @property
    def dial_string(self) -> str:
        return f"PJSIP/{self.called_number}@{self.trunk}"

    def numbers(self) -> tuple[Number, Number] | None:
        """The canary call's forwarding number and called number, or None if no canary is configured.

        These numbers identify the record of a canary call.
        """
        if self.forwarding_number is None or self.called_number is None:
            return None
        return parse(self.forwarding_number), parse(self.called_number)
