"""Report to the association that the operator has suspended numbers itself.

The report contains no telephone numbers, only the reference that the police can identify their request by.
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
    """Report on a suspension by the operator.

    `id` is the member's id for the suspension. `numbers` is how many numbers it covers. `in_force` is when the node
    confirmed the suspension. `over` is when calls are connected again. A later report with the same id replaces an
    earlier one.
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
        """Parse the report in a signed document. Raises TrustError."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise TrustError("the content is not that of a {kind}", kind=KIND) from error
