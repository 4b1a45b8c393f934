"""The person who did an act of the ledger's keepers, as the act names them. Pure."""

from collections.abc import Mapping

from idtone.core.persons import AccountKnownBy, Person

from .steps import Scalar


def person_of(details: Mapping[str, Scalar]) -> Person:
    """The person who did an act, from its details. Raises TypeError, ValueError or KeyError for details of another
    form.
    """
    uid, name = details["by_uid"], details["by"]
    if not isinstance(uid, int) or isinstance(uid, bool) or not isinstance(name, str):
        raise TypeError("not the number of an account, or not its name")
    return Person(uid, name, AccountKnownBy(str(details["by_way"])))
