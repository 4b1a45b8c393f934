"""Errors in the fields of the desk's public forms."""

from typing import NamedTuple


class FieldProblem(NamedTuple):
    """Error in a field of a public form.

    `problem` is a key of the form's problems. `character` is the unreadable character, if the error concerns one.
    """

    problem: str
    character: str = ""
