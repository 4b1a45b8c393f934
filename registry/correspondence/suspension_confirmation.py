"""Confirmation to the association that a node has applied or lifted suspensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import Field, ValidationError, model_validator

from idtone.core.errors import TrustError
from idtone.core.yaml_documents import Model

from ..model import Moment, Sha256, Text

KIND: Final = "suspension-confirmation"
STOPS_LIMIT: Final = 500
"""Maximum number of suspensions in one document."""


class ConfirmedStop(Model):
    """A suspension that the node confirms.

    `calls_ended` counts the calls in progress that the node ended because of the suspension, excluding those counted in
    an earlier document.
    """

    reference: Text
    calls_ended: Annotated[int, Field(ge=0)]


class SuspensionConfirmation(Model):
    """Confirmation of one edition of the suspension list.

    `sha256` and `issued` describe the suspensions.yaml in use. `registry_version` is the registry's version at that
    time. `in_use` is when the node began to use the file. `stops` are the suspensions that the node confirms for the
    first time. `lifts` are the references of suspensions that it confirmed earlier and that are no longer in the file.
    """

    sha256: Sha256
    issued: Moment
    registry_version: Annotated[int, Field(ge=1)]
    in_use: Moment
    stops: Annotated[tuple[ConfirmedStop, ...], Field(max_length=STOPS_LIMIT)]
    lifts: Annotated[tuple[Text, ...], Field(max_length=STOPS_LIMIT)] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.stops and not self.lifts:
            raise ValueError("confirms nothing")
        return self

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> SuspensionConfirmation:
        """Parse the confirmation in a signed document. Raises TrustError."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise TrustError("the content is not that of a {kind}", kind=KIND) from error
