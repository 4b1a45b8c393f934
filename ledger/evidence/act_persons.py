"""The person who performed a recorded act, such as a disclosure."""

from collections.abc import Mapping

from idtone.core.persons import AccountKnownBy, Person

from .steps import Scalar


def person_of(details: Mapping[str, Scalar]) -> Person:
    """The person named in an act's details.

    Raises TypeError, ValueError or KeyError if the details do not name a person.
    """
    uid, name = details["by_uid"], details["by"]
    if not isinstance(uid, int) or isinstance(uid, bool) or not isinstance(name, str):
        raise TypeError("not the number of an account, or not its name")
    return Person(uid, name, AccountKnownBy(str(details["by_way"])))
