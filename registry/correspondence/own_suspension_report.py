"""The document in which a node tells the association that its operator has suspended numbers itself. Pure.

It names no telephone number. It contains the reference by which the police know their request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from idtone.core.errors import TrustError
from idtone.core.yaml_documents import Model

from ..model import Moment, Text

KIND: Final = "own-suspension"


class OwnSuspensionReport(Model):
    """The report on one suspension. `id` is the member's id for it; `numbers` is the count of its numbers. `in_force`
    is the time at which the node confirmed it, and `over` the time from which the calls pass again. A later report with
    the same id replaces an earlier one.
    """

    id: Annotated[str, Field(pattern=r"^s-[0-9a-f]{8}$")]
    reference: Text
    numbers: Annotated[int, Field(ge=1)]
    in_force: Moment
    calls_ended: Annotated[int, Field(ge=0)]
    state: Annotated[str, Field(pattern=r"^(in-force|taken-over|lifted)$")]
    over: Moment | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> OwnSuspensionReport:
        """The report in the content of a document. Raises TrustError."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise TrustError("the content is not that of a {kind}", kind=KIND) from error
