"""Settings under `brake`: the strictest step and the lines that are not ordinary PBXs."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ..yaml_documents import Model
from .values import COMMA_LIST

LineName = Annotated[str, Field(min_length=1, max_length=200)]
"""An Asterisk endpoint or account code."""


class HighestStep(StrEnum):
    """The strictest step that the brake may take."""

    STOP = "stop"
    SLOW = "slow"
    MARK = "mark"
    NOTHING = "nothing"
    """The brake is off."""


class BrakeSettings(Model):
    highest: HighestStep = HighestStep.STOP
    extensions: Annotated[tuple[LineName, ...], COMMA_LIST] = Field(default=(), repr=False)
    call_centres: Annotated[tuple[LineName, ...], COMMA_LIST] = Field(default=(), repr=False)
    resellers: Annotated[tuple[LineName, ...], COMMA_LIST] = Field(default=(), repr=False)
