"""Settings in `authority.yaml`, the association's optional settings file.

The file sets key thresholds, signature terms and refusal check limits. It also configures the public site and online
applications. `registry.trust.tuf_roles` defines the defaults for keys and signatures.
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
"""Smallest permitted number of keys. A single stolen key must not be enough to sign."""
_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(days=3653)
_ORIGIN: Final = r"^(https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?)?$"


class KeySet(Model):
    keys: Annotated[int, Field(ge=_LEAST, le=16)]
    threshold: Annotated[int, Field(ge=_LEAST, le=16)]


class RefusalTerms(Model):
    """Limits for refused customers and for members' checks against the list of refusals.

    The defaults are idtone's own, because no public rule says how long a refusal lasts.
    """

    checks_per_day: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Maximum number of customers that a member may check on one day (Japan Standard Time)."""
    checks_of: dict[str, Annotated[int, Field(ge=0, le=100_000)]] = Field(default_factory=dict)
    """Daily limits for individual members, by member id. They override `checks_per_day`."""
    longest: timedelta = timedelta(days=5 * 365)
    """Maximum duration of a refusal."""

    def daily_checks(self, member: str) -> int:
        return self.checks_of.get(member, self.checks_per_day)


class PublicTerms(Model):
    """Settings of the public site and its number search.

    `address`, `desk` and `service` are the URLs of the site, the report desk and the number service. They have no
    trailing slash. An empty URL means that the service does not exist. If only `service` is empty, the site's own
    address also answers number queries.
    """

    names_holders: bool = False
    """True if the public site names the member that holds a number, instead of only confirming a licensed holder."""
    hourly: Annotated[int, Field(ge=1, le=1_000_000)] = 3600
    """Maximum number of queries per hour from all visitors combined. `hourly_each` is the limit per IP address."""
    hourly_each: Annotated[int, Field(ge=1, le=1_000)] = 6
    address: Annotated[str, Field(pattern=_ORIGIN)] = ""
    desk: Annotated[str, Field(pattern=_ORIGIN)] = ""
    service: Annotated[str, Field(pattern=_ORIGIN)] = ""
    mirrors: tuple[Annotated[str, Field(pattern=_ORIGIN)], ...] = ()
    """URLs of other hosts that serve copies of the site. Pages from these hosts may query the number service."""
    test_number: Annotated[str, Field(pattern=r"^[0-9-]*$")] = ""
    """Phone number that the public can call to hear the sounds. The site's page `test-number/` shows it."""
    course: bool = False
    """True if the public may read the members' course, including the correct test answers."""


class OnlineTerms(Model):
    """Settings for online applications on the desk's public page. The default is off.

    `responsible` names the body responsible for the data and its contact; None means the association. `keep` is how
    long a submission is stored after the office receives, returns or declines it. `waiting` limits the number of open
    submissions, including those sent back for correction.
    """

    online: bool = False
    responsible: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    keep: timedelta = timedelta(days=90)
    hourly: Annotated[int, Field(ge=1, le=10_000)] = 60
    """Maximum number of forms per hour from all visitors combined. `hourly_each` is the limit per network."""
    hourly_each: Annotated[int, Field(ge=1, le=1_000)] = 6
    waiting: Annotated[int, Field(ge=1, le=10_000)] = 200


class AuthoritySettings(Model):
    """All settings in `authority.yaml`."""

    sets: dict[Keys, KeySet] = Field(default_factory=dict)
    lasts: dict[str, timedelta] = Field(default_factory=dict)
    refusals: RefusalTerms = RefusalTerms()
    public: PublicTerms = PublicTerms()
    applications: OnlineTerms = OnlineTerms()
    published: Path | None = None
    """Folder to which the repository is copied on each publication, for a web server or another computer.

    The folder's link `current` always points to a complete copy. If None, the web server reads the repository itself.
    """

    def key_set(self, keys: Keys) -> KeySet:
        return self.sets.get(keys) or KeySet(keys=tuf_roles.KEYS[keys], threshold=tuf_roles.THRESHOLD)

    def term(self, role: str) -> timedelta:
        return self.lasts.get(role, tuf_roles.ROLES[role].lasts)

    def is_due(self, role: str, expires: datetime, now: datetime) -> bool:
        """True if more than half of the validity period of a role's signatures has passed."""
        return expires - now < self.term(role) / 2


def read_authority_settings(path: Path) -> AuthoritySettings:
    """Read `authority.yaml`, or return the defaults if it is missing. Raises DocumentError listing every fault."""
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
