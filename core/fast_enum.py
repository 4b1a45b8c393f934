"""The base of the enumerations that each call's decision looks up."""

from enum import StrEnum


class FastEnum(StrEnum):
    """A text of a fixed set. Its hash is that of the text, in compiled code; the hash of `StrEnum` is Python code, and
    a decision looks up members in four tables.
    """

    __hash__ = str.__hash__
