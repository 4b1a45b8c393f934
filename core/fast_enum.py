"""The base of the enumerations that each call's decision looks up."""

from enum import StrEnum


class Word(StrEnum):
    """A text of a fixed set. Its hash is the text's, which is compiled code. The hash of `StrEnum` is Python, and a
    decision looks up members in four tables.
    """

    __hash__ = str.__hash__
