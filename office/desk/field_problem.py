"""What is wrong with a field of a public form."""

from typing import NamedTuple


class FieldProblem(NamedTuple):
    """What is wrong with a field: one of the form's problems; one of them names a `character`."""

    problem: str
    character: str = ""
