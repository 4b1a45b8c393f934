"""The document by which a node confirms to the association that suspensions, or their ends, are in use there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import Field, ValidationError, model_validator

from idtone.core.documents import Model
from idtone.core.errors import TrustError

from ..model import Moment, Sha256, Text

KIND: Final = "suspension-confirmation"
STOPS_LIMIT: Final = 500
"""The most stops in one document."""


class ConfirmedStop(Model):
    """`calls_ended` counts the calls in progress that the node has ended because of the reference, up to the document,
    and not in an earlier one.
    """

    reference: Text
    calls_ended: Annotated[int, Field(ge=0)]


class SuspensionConfirmation(Model):
    """`sha256` and `issued` are those of the suspensions.yaml in use, `registry_version` that of the registry then.

    `in_use` is when the node took it into use. `stops` are those that the node had not confirmed before, `lifts` the
    references of which it had confirmed a stop that this file does not have any more.
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
