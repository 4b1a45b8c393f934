"""Errors in the fields of a public form."""

from typing import NamedTuple


class FieldProblem(NamedTuple):
    """An error in a field, which is one of the form's problems. One of them names a `character`."""

    problem: str
    character: str = ""
