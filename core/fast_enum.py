"""The base of the enumerations that each call's decision looks up."""

from enum import StrEnum


class FastEnum(StrEnum):
    """A text of a fixed set. Its hash is that of the text, computed in C. The hash of `StrEnum` is Python code, which
    would slow down a decision's look-ups in four tables.
    """

    __hash__ = str.__hash__
