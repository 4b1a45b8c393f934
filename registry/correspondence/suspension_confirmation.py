"""The document in which a node confirms to the association that it has applied suspensions, or their ends. Pure."""

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
    """A suspension that the node confirms. `calls_ended` counts the calls in progress that the node has ended because
    of it. Calls that an earlier document counted are left out.
    """

    reference: Text
    calls_ended: Annotated[int, Field(ge=0)]


class SuspensionConfirmation(Model):
    """The confirmation of one edition. `sha256` and `issued` are those of the suspensions.yaml in use,
    `registry_version` is that of the registry at that time.

    `in_use` is the time at which the node began to use that file. `stops` are the suspensions that the node confirms
    for the first time. `lifts` are the references of suspensions that it confirmed earlier and that this file no longer
    has.
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
        """The confirmation in the content of a document. Raises TrustError."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise TrustError("the content is not that of a {kind}", kind=KIND) from error
