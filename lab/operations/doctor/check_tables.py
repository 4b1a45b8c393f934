"""Checks the doctor's rules with tables of observations and the findings that they should cause."""

from collections.abc import Callable
from typing import Any

from idtone.operations.doctor.findings import Finding, State

GOOD, WARNING, BAD, UNKNOWN = State.GOOD, State.WARNING, State.BAD, State.UNKNOWN
Row = tuple[Any, ...]
"""A row: the arguments of a rule, the state of the finding, a part of its `found`, and parts of its remedy."""


def check(rule: Callable[..., Finding], rows: list[Row]) -> None:
    for observed, state, *texts in rows:
        finding = rule(*observed)
        assert finding.state is state, (observed, finding)
        assert not texts or texts[0] in finding.found, (observed, finding)
        for remedy in texts[1:]:
            assert remedy in finding.remedy, (observed, finding)
