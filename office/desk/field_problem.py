"""Errors in the fields of a public form."""

from typing import NamedTuple


class FieldProblem(NamedTuple):
    """An error in a field. `problem` is one of the form's problems; `character` is the unreadable one, if the problem
    is about that.
    """

    problem: str
    character: str = ""
