"""A string enumeration with a fast hash, for look-ups during the decision on a call."""

from enum import StrEnum


class FastEnum(StrEnum):
    """A `StrEnum` that uses the hash of `str`, which is computed in C.

    The hash of `StrEnum` is Python code, and would slow down the four table look-ups of a decision.
    """

    __hash__ = str.__hash__
