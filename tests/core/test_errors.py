"""An error reaches another process as it was raised."""

import pickle
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import idtone
from idtone.core.errors import AriRefused, DocumentError, Fault, IdtoneError, NumberError, TokenError
from idtone.core.translation import Message
from idtone.ledger.evidence.format_rules import Rule, RuleError

ROOMS = Path(idtone.__file__).parent
TEXT = Message("{path} is missing", path="x")
RAISED = (
    DocumentError([Fault("settings.yaml", line, 1, "name", "is wrong", "Correct it") for line in (9, 3)]),
    NumberError("the problem", "the remedy"),
    AriRefused(404, "Not Found", "GET /channels"),
    TokenError("no such key", is_final=True),
    RuleError(Rule.FORK, TEXT),
)


def classes() -> Iterator[type[IdtoneError]]:
    """All of idtone's errors."""
    for file in sorted(ROOMS.glob("*/**/*.py")):
        if re.search(r"^class \w+\((\w+Error|Ari\w+)\):", file.read_text("utf-8"), re.MULTILINE):
            import_module(".".join((idtone.__name__, *file.relative_to(ROOMS).with_suffix("").parts)))
    of: list[type[IdtoneError]] = [IdtoneError]
    for each in of:
        of += each.__subclasses__()
    return iter(of)


def assert_the_same(error: IdtoneError) -> None:
    came = pickle.loads(pickle.dumps(error))  # noqa: S301 — its own
    assert (type(came), came.args, vars(came)) == (type(error), error.args, vars(error))


@pytest.mark.parametrize("error", RAISED, ids=lambda each: type(each).__name__)
def test_an_error_is_the_same_in_another_process(error: IdtoneError):
    """Without `__reduce__`, the faults of a file would arrive with one letter a line, and a broken rule as
    a TypeError.
    """
    assert_the_same(error)


def test_no_error_needs_more_than_its_text_to_reach_another_process():
    found = list(dict.fromkeys(classes()))
    assert len(found) > 30
    for each in found:
        assert_the_same(each.__new__(each, TEXT))
