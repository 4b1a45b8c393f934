"""Roles and rights: what a user may do in the console."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final


class Right(StrEnum):
    """A right that pages require and roles grant."""

    ENTER = "enter"
    """Right to enter the console, granted by every role."""
    LOOK = "look"
    """Right to see the node's state and its calls with masked numbers."""
    OPEN_NUMBERS = "open-numbers"
    """Right to see and search telephone numbers. The user must state a purpose, which is recorded."""
    REQUEST_EXPORTS = "request-exports"
    APPROVE_EXPORTS = "approve-exports"
    STOP_NUMBERS = "stop-numbers"
    """Right to stop numbers on this node and its fleet, and to approve and lift stops."""
    OFFICE = "office"
    """Right to do the work of the association's office."""
    ADMINISTER = "administer"
    """Right to add, lock and remove users, and to end sessions."""


class Role(StrEnum):
    """A user's role, as listed in the users file."""

    VIEWER = "viewer"
    INVESTIGATOR = "investigator"
    APPROVER = "approver"
    DUTY = "duty"
    """Role of the person who takes calls from the police, including at night."""
    OFFICE = "office"
    ADMINISTRATOR = "administrator"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.VIEWER: frozenset({Right.LOOK}),
    Role.INVESTIGATOR: frozenset({Right.LOOK, Right.OPEN_NUMBERS, Right.REQUEST_EXPORTS}),
    Role.APPROVER: frozenset({Right.LOOK, Right.APPROVE_EXPORTS}),
    Role.DUTY: frozenset({Right.LOOK, Right.STOP_NUMBERS}),
    Role.OFFICE: frozenset({Right.OFFICE}),
    Role.ADMINISTRATOR: frozenset({Right.LOOK, Right.ADMINISTER}),
}


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """All rights that these roles grant."""
    return frozenset({Right.ENTER}).union(*(RIGHTS[role] for role in roles))
