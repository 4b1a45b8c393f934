"""Package with the public site's statement, for the holders of the duty keys to sign.

The package is structured like an edition's package:

roots/, before/           the current publication, as in an edition's package
site/statement.json       the statement, with the signatures so far
site/tables/FILE          the tables of numbers that the statement names
site/figures.json         the month's figures, if the statement names some
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Root

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import reading, replace_durably, writing_into
from idtone.core.japan_time import end_words
from idtone.core.translation import Message

from ..authority.edition import Edition, PackageFiles, read_published
from ..authority.edition_rules import verify_published_part
from ..authority.group_shared_files import make_folder
from ..authority.signed_repository import SignedRepository
from .number_answers import answers, changes_at, licensed_holders
from .number_table import NumberTable, TableFile, key_pair, table
from .public_statement import SignedContent, read_statement, statement
from .published_registry import PublishedRegistry, published_of

FOLDER: Final = "site"
STATEMENT: Final = "statement.json"
ROLE: Final = "public-site"
"""Name of the statement in lists of signed roles."""
_TABLES, _FIGURES = "tables", "figures.json"
_EARLY: Final = timedelta(hours=1)
"""Tolerated difference between the office's clock and the key holders' clocks."""


@dataclass(frozen=True, slots=True)
class SiteFiles:
    """Files that a statement names: the number tables, and the figures as JSON or None."""

    numbers: NumberTable
    figures: bytes | None


@dataclass(frozen=True)
class SitePackage:
    """A package with the public site's statement.

    `published` holds only the current publication. `tables` holds the table files by name.
    """

    published: Edition
    statement: SignedContent
    tables: Mapping[str, bytes]
    figures: bytes | None

    @property
    def root(self) -> Root:
        root: Root = self.published.before["root"].signed
        return root

    def files(self) -> SiteFiles:
        """Check and return the package's files.

        Raises TrustError if the files differ from those named in the statement.
        """
        told = self.statement.content
        try:
            named = told["numbers"]["tables"]
            files = {
                area: TableFile(self.tables[each["file"]], base64.b64decode(each["salt"], validate=True))
                for area, each in named.items()
            }
            fits = all(_sha256(files[area].octets) == each["sha256"] for area, each in named.items())
            figures = None if self.figures is None else _sha256(self.figures)
            if not fits or len(files) != len(self.tables) or told["figures"] != figures:
                raise _unfit()
            return SiteFiles(NumberTable(told["numbers"]["area_digits"], files), self.figures)
        except (LookupError, AttributeError, TypeError, ValueError) as error:
            raise _unfit() from error

    def sign(self, signer: Signer) -> list[str]:
        """Sign the statement if the signer's key may do so. Returns the names of the signed roles."""
        return [ROLE] if self.statement.sign(signer, self.root) else []

    def missing(self) -> Iterator[Message]:
        """Describe the missing signatures, if any."""
        missing = self.statement.missing(self.root)
        if missing is not None:
            yield missing

    def write(self, folder: Path) -> None:
        """Write the package to a new folder. Raises UsageError."""
        self.published.write(folder)
        files = {f"{_TABLES}/{name}": octets for name, octets in self.tables.items()}
        files |= {} if self.figures is None else {_FIGURES: self.figures}
        files[STATEMENT] = self.statement.to_bytes()
        with writing_into(folder, UsageError):
            for name, octets in files.items():
                path = folder / FOLDER / name
                make_folder(path.parent)
                replace_durably(path, octets)

    def write_signatures(self, folder: Path) -> None:
        """Write the signatures back to the package's folder. Raises UsageError."""
        try:
            replace_durably(folder / FOLDER / STATEMENT, self.statement.to_bytes())
        except OSError as error:
            raise UsageError(
                "{folder}: the signatures cannot be written: {reason}", folder=folder, reason=error.strerror
            ) from error


def site_package(
    repository: SignedRepository, content: Mapping[str, Any], numbers: NumberTable, figures: bytes | None
) -> SitePackage:
    """Create the unsigned package for a statement about the current publication."""
    published = Edition(
        {}, {}, repository.all_current_metadata(), repository.files(), tuple(repository.metadata_versions("root"))
    )
    tables = {content["numbers"]["tables"][area]["file"]: file.octets for area, file in numbers.files.items()}
    return SitePackage(published, SignedContent(dict(content)), tables, figures)


def is_site_package(folder: Path) -> bool:
    """True if the folder contains a public site package. Raises TrustError if the folder cannot be read."""
    with reading(folder, TrustError, is_choice=True):
        return (folder / FOLDER / STATEMENT).is_file()


def read_site_package(folder: Path, name: Path | None = None) -> SitePackage:
    """Read a package from a folder. Raises TrustError if the folder is damaged or contains no such package.

    Error messages show `name` instead of the folder's path.
    """
    name = name or folder
    if not is_site_package(folder):
        raise TrustError(
            "{folder}: is not a package of the public site; `idtone-office site prepare` writes one", folder=name
        )
    files = PackageFiles(folder, name)
    given = files.read_folder(FOLDER)
    try:
        content = read_statement(given[STATEMENT])
    except TrustError as error:
        raise files.damage_error(f"{FOLDER}/{STATEMENT}") from error
    head = f"{_TABLES}/"
    tables = {path.removeprefix(head): given[path] for path in sorted(given) if path.startswith(head)}
    return SitePackage(read_published(files), content, tables, given.get(_FIGURES))


def assembled_site(packages: Mapping[Path, SitePackage]) -> SitePackage:
    """Combine copies of a package into one with all signatures. Raises TrustError if the copies differ."""
    (_, whole), *others = packages.items()
    for folder, copy in others:
        if copy.statement.content != whole.statement.content:
            raise TrustError(
                "{folder}: its statement differs from the first folder's; prepare the package again", folder=folder
            )
        good = copy.statement.holders(whole.root)
        whole.statement.signatures.update({keyid: copy.statement.signatures[keyid] for keyid in good})
    return whole


def site_words(
    package: SitePackage, kept: Metadata[Root], now: datetime, numbers_seed: bytes | None = None
) -> list[Message]:
    """Verify a package with the key holder's own root and describe what the holder would sign.

    `numbers_seed` is the office's secret key for the numbers. Without it, the tables cannot be compared with the
    registry, and the text says so. Raises TrustError or DocumentError if the package breaks a rule.
    """
    verify_published_part(package.published, kept)
    published = _published(package)
    try:
        told = package.statement.content
        issued, expires = _moment(told["issued"]), _moment(told["expires"])
        names_holders = {"holder": True, "licensed": False}[told["numbers"]["tells"]]
        public = base64.b64decode(told["numbers"]["public"], validate=True)
        figures = None if package.figures is None else json.loads(package.figures)
    except (LookupError, TypeError, ValueError) as error:
        raise _unfit() from error
    if not isinstance(figures, dict | None):
        raise _unfit()
    if issued > now + _EARLY or expires <= now:
        raise TrustError(
            "the statement counts from {issued} until {expires}, and not now", issued=issued, expires=expires
        )
    files = package.files()
    holders = licensed_holders(published.document, published.suspensions, published.index, issued)
    ends = changes_at(published.document, published.index, holders, names_holders, issued)
    again = statement(
        published.editions, public, files.numbers, holders, names_holders, files.figures, issued, min(ends, expires)
    )
    if again != told:
        raise TrustError(
            "the statement is not what the published registry says; do not sign this package, ask for a new one"
        )
    words = [
        Message(
            "the public site of {association}, until {expires}",
            association=told["association"],
            expires=end_words(expires),
        ),
        *(
            Message("of the published {role}, version {version}", role=role, version=each["version"])
            for role, each in told["editions"].items()
        ),
        *(Message("licensed: {member} {name}", member=each.member, name=each.ja) for each in holders),
        Message("the page names the holder of a number") if names_holders else Message("the page names no holder"),
    ]
    if figures is not None:
        words.append(
            Message(
                "figures of {month}: {figures}",
                month=figures.get("month"),
                figures=json.dumps(figures, ensure_ascii=False),
            )
        )
    if numbers_seed is None:
        words.append(
            Message(
                "the {count} tables of numbers were not compared with the registry: that takes the office's key of the "
                "numbers",
                count=len(files.numbers.files),
            )
        )
        return words
    keys = key_pair(numbers_seed)
    places = {each.member: place for place, each in enumerate(holders, 1)} if names_holders else {}
    if keys.public != public or table(keys, answers(published.index, places, issued)) != files.numbers:
        raise TrustError("the tables of numbers are not those of the published registry, or the key is another one")
    words.append(Message("the {count} tables of numbers have what the registry says", count=len(files.numbers.files)))
    return words


def check_published(package: SitePackage, published: PublishedRegistry, now: datetime) -> None:
    """Check that a package can be used.

    Raises TrustError if it has expired, lacks signatures or was made before the latest edition was published.
    """
    if is_void(package, published, now):
        raise TrustError("something was published since, or its time is over; prepare the package again")
    missing = package.statement.missing(published.root)
    if missing is not None:
        raise TrustError(missing)


def is_void(package: SitePackage, published: PublishedRegistry, now: datetime) -> bool:
    """True if the package has expired or was made before the latest edition was published.

    Raises TrustError if the statement is malformed.
    """
    told = package.statement.content
    try:
        return told["editions"] != _editions(published) or _moment(told["expires"]) <= now
    except (LookupError, TypeError, ValueError) as error:
        raise _unfit() from error


def _editions(published: PublishedRegistry) -> dict[str, dict[str, Any]]:
    versions, sha256 = published.editions.versions, published.editions.sha256
    return {role: {"version": version, "sha256": sha256[role]} for role, version in versions.items()}


def _published(package: SitePackage) -> PublishedRegistry:
    return published_of(package.published.before, package.published.files, package.published.roots)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("without a time zone")
    return at


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def _unfit() -> TrustError:
    return TrustError("the files of the public site are not those that its statement names; ask for the package again")
