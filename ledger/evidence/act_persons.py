"""The person who did an act of the ledger's keepers, as the act names them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from idtone.core.persons import AccountKnownBy, Person

from .steps import Scalar


def person_of(details: Mapping[str, Scalar]) -> Person:
    """Who did an act, from its details. Raises TypeError, ValueError, KeyError."""
    uid = details["by_uid"]
    if not isinstance(uid, int) or isinstance(uid, bool):
        raise TypeError("not the number of an account")
    return Person(uid, str(details["by"]), AccountKnownBy(str(details["by_way"])))
