"""The settings in `authority.yaml`: sizes and thresholds of the key sets, terms of signatures, limits for members'
checks of refused contractors, the public site, and online applications.

Every setting has a default (`registry.trust.tuf_roles`), and the file is optional.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault, load
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.tuf_roles import Keys

FILE: Final = "authority.yaml"
_LEAST: Final = 2
"""Lowest number of keys: one stolen key must not be enough."""
_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(days=3653)
_ORIGIN: Final = r"^(https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?)?$"


class KeySet(Model):
    keys: Annotated[int, Field(ge=_LEAST, le=16)]
    threshold: Annotated[int, Field(ge=_LEAST, le=16)]


class RefusalTerms(Model):
    """Terms of refusals. idtone chose the defaults: no public rule says how long a refusal lasts."""

    checks_per_day: Annotated[int, Field(ge=1, le=100_000)] = 200
    """The most customers that a member may check against the refusals on one day (Japan Standard Time)."""
    checks_of: dict[str, Annotated[int, Field(ge=0, le=100_000)]] = Field(default_factory=dict)
    """Member id → this member's daily limit in place of `checks_per_day`."""
    longest: timedelta = timedelta(days=5 * 365)
    """The longest period of a refusal."""

    def daily_checks(self, member: str) -> int:
        return self.checks_of.get(member, self.checks_per_day)


class PublicTerms(Model):
    """Terms of the public site. `address`, `desk` and `service` are the addresses of the site, the report desk and the
    number service, without a slash at the end. An empty one does not exist; if `service` is empty, the site's address
    also serves numbers.
    """

    names_holders: bool = False
    """True: the page names the member that holds a number. False: it only says that a licensed member holds the number.
    """
    hourly: Annotated[int, Field(ge=1, le=1_000_000)] = 3600
    """The most look-ups in an hour by all visitors together; `hourly_each` is the limit of one address."""
    hourly_each: Annotated[int, Field(ge=1, le=1_000)] = 6
    address: Annotated[str, Field(pattern=_ORIGIN)] = ""
    desk: Annotated[str, Field(pattern=_ORIGIN)] = ""
    service: Annotated[str, Field(pattern=_ORIGIN)] = ""
    mirrors: tuple[Annotated[str, Field(pattern=_ORIGIN)], ...] = ()
    """Addresses of other hosts of the site; their pages may ask the number service."""
    test_number: Annotated[str, Field(pattern=r"^[0-9-]*$")] = ""
    """The number at which the public can hear the sounds (`test-number/` of the site)."""
    course: bool = False
    """True if the public may read the members' course, including the correct answers to its test."""


class OnlineTerms(Model):
    """Online applications on the desk's public page. They are off until the association switches them on.

    `responsible` is the body responsible for the data, with its contact; None means the association. `keep` is how long
    a submission is stored after the office has received, returned or declined it. `waiting` is the most submissions
    that may wait.
    """

    online: bool = False
    responsible: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    keep: timedelta = timedelta(days=90)
    hourly: Annotated[int, Field(ge=1, le=10_000)] = 60
    """The most forms in an hour by all visitors together; `hourly_each` is the limit of one network."""
    hourly_each: Annotated[int, Field(ge=1, le=1_000)] = 6
    waiting: Annotated[int, Field(ge=1, le=10_000)] = 200


class AuthoritySettings(Model):
    """The content of authority.yaml."""

    sets: dict[Keys, KeySet] = Field(default_factory=dict)
    lasts: dict[str, timedelta] = Field(default_factory=dict)
    refusals: RefusalTerms = RefusalTerms()
    public: PublicTerms = PublicTerms()
    applications: OnlineTerms = OnlineTerms()
    published: Path | None = None
    """Folder into which each publication copies the repository, for a web server or another computer. Its link
    `current` changes in one step. None: the web server reads the repository itself.
    """

    def key_set(self, keys: Keys) -> KeySet:
        return self.sets.get(keys) or KeySet(keys=tuf_roles.KEYS[keys], threshold=tuf_roles.THRESHOLD)

    def term(self, role: str) -> timedelta:
        return self.lasts.get(role, tuf_roles.ROLES[role].lasts)

    def is_due(self, role: str, expires: datetime, now: datetime) -> bool:
        """True if at least half of the term of a role's signatures is over."""
        return expires - now < self.term(role) / 2


def read_authority_settings(path: Path) -> AuthoritySettings:
    """The settings in the file, or the defaults if there is no file. Raises DocumentError with every fault."""
    return load(path, AuthoritySettings, _faults) if path.exists() else AuthoritySettings()


def _faults(terms: AuthoritySettings) -> Iterator[ValidationFault]:
    if terms.published and not terms.published.is_absolute():
        yield ValidationFault(("published",), Message("is not a whole path"), Message("Write it from / on"))
    if not timedelta(days=1) <= terms.refusals.longest <= _LONGEST:
        yield ValidationFault(
            ("refusals", "longest"),
            Message("is not a plausible time"),
            Message("Write between P1D (a day) and P3653D (ten years)"),
        )
    if not timedelta(days=1) <= terms.applications.keep <= _LONGEST:
        yield ValidationFault(
            ("applications", "keep"),
            Message("is not a plausible time"),
            Message("Write between P1D (a day) and P3653D (ten years)"),
        )
    for name, one in terms.sets.items():
        if one.threshold > one.keys:
            yield ValidationFault(
                ("sets", name, "threshold"),
                Message("is higher than the number of keys"),
                Message("Correct one of the two"),
            )
    for role, lasts in terms.lasts.items():
        if role not in tuf_roles.ROLES:
            yield ValidationFault(
                ("lasts", role),
                Message("is not a role"),
                Message("Known here: {names}", names=", ".join(tuf_roles.ROLES)),
            )
        elif not _SHORTEST <= lasts <= _LONGEST:
            yield ValidationFault(
                ("lasts", role),
                Message("is not a plausible time"),
                Message("Write between PT1H (an hour) and P3653D (ten years)"),
            )
