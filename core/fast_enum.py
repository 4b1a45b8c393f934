"""A string enumeration with a fast hash, for look-ups while deciding a call."""

from enum import StrEnum


class FastEnum(StrEnum):
    """A `StrEnum` that uses the hash of `str`, which is computed in C.

    `StrEnum` computes its hash in Python, which would slow down the four table look-ups of each decision.
    """

    __hash__ = str.__hash__
