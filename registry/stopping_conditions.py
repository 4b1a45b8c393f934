"""Published conditions under which members end the use of numbers (利用停止条件)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from idtone.core.translation import Message, template
from idtone.core.yaml_documents import ValidationFault

if TYPE_CHECKING:  # which imports this module
    from .model import RegistryDocument, StoppingCondition

STEPS: Final = {
    "ask": template("the member asks the contractor"),
    "report": template("the member reports it to the police or the association"),
    "stop": template("the member ends the use of the number"),
}
"""The step that a ground leads to."""


def condition_words(condition: StoppingCondition) -> Message:
    """Description of a condition for the people who sign it."""
    return Message(
        "{ground}: {step}; days at most: {days}; {ja} / {en}",
        ground=condition.finding or Message("without a finding"),
        step=Message(STEPS[condition.leads_to]),
        days=condition.within_days,
        ja=condition.text.ja,
        en=condition.text.en,
    )


def condition_change(old: StoppingCondition, new: StoppingCondition) -> Iterator[Message]:
    yield Message("{new}, was {old}", new=condition_words(new), old=condition_words(old))


def condition_faults(document: RegistryDocument) -> Iterator[ValidationFault]:
    """Faults in the conditions: a missing version or a duplicate id."""
    conditions, seen = document.stopping_conditions, set[str]()
    if bool(conditions) != (document.stopping_version is not None):
        yield ValidationFault(
            ("stopping_version",),
            Message("belongs to `stopping_conditions`: there are both, or neither"),
            Message("Write both, or leave both out"),
        )
    for place, each in enumerate(conditions):
        if each.id in seen:
            yield ValidationFault(
                ("stopping_conditions", place, "id"),
                Message("is there twice"),
                Message("Give each condition its own id"),
            )
        seen.add(each.id)
