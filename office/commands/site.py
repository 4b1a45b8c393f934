"""The `site` commands of `idtone-office`, which write, sign and serve the association's public site."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from idtone.core.errors import LedgerError, TrustError, UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.terminal import command_line
from idtone.core.terminal.extras import install_command
from idtone.core.translation import Message, translated
from idtone.ledger.keys.key_file import load_key, read_key
from idtone.registry.commands.check_progress import checking
from idtone.registry.trust.roots import read_root

from ..authority.authority_settings import PublicTerms
from ..authority.group_shared_files import file_mode
from ..authority.signed_history import history_with_signatures
from ..authority.workspace import Workspace
from ..desk.document_desk import DocumentDesk
from ..desk.reports.report_settings import read_report_settings, responsible_body
from ..signing.package_zip import read_copy
from ..site import number_service
from ..site.month_figures import figures_of_month, newest
from ..site.number_answers import answers, changes_at, licensed_holders
from ..site.number_table import key_pair, table
from ..site.public_statement import signed_statement, statement
from ..site.published_registry import PublishedRegistry, published_registry
from ..site.site_folder import read_municipalities, site_files, size_without_sounds, write_site
from ..site.site_package import (
    SiteFiles,
    SitePackage,
    assembled_site,
    check_published,
    is_site_package,
    is_void,
    read_site_package,
    site_package,
    site_words,
)
from ..site.site_pages import SiteFacts
from ..site.site_sounds import given_sound, shipped_sounds
from ..training.course import course_of
from .options import AnyFolderOption, FolderOption
from .signing_options import KeyOption, open_signers, print_missing, sign_shown

MonthOption = Annotated[
    str | None,
    typer.Option(metavar="YYYY-MM", help="Publish the figures of this month; it must be over. “last”: the last month."),
]
SitePackageArgument = Annotated[
    Path, typer.Argument(metavar="PACKAGE", help="The folder that `site prepare` has written.")
]
LAST: Final = "last"
"""Value of `--month` for the month before the current one in Japan."""
KEY_FILE: Final = "public-numbers.key"
"""File in the authority's folder with 32 secret bytes, which reveal the numbers that the tables contain."""
FIGURES_KEY_FILE: Final = "public-figures.key"
"""File in the authority's folder with 32 secret bytes, with which the noise can be removed from the figures.

Never copy this file to a web host.
"""


def build_site(
    folder: FolderOption,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder of the site.")],
    key: KeyOption = [],  # noqa: B006  Typer wants a list
    package: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Take the statement of this package, which its holders have signed."),
    ] = None,
    sound: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A WAV file with the licensed sound, if the public may hear it."),
    ] = None,
    month: MonthOption = None,
    municipalities: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Municipalities for which to make posters: the columns name and contact."),
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Write the public site: what the sound means, whether a number is genuine, badges, reports, figures.

    The site says about each number what is published. Two duty keys sign this statement: here with `--key`, or at their
    holders' computers (`site prepare`, `--package`). Run it after each publication: its signatures expire with those of
    the repository. The section `public` of authority.yaml has its addresses and limits, and says whether the holder of
    a number is named.
    """
    if bool(key) == (package is not None):
        raise UsageError("sign with --key, or name a signed package with --package")
    if package is not None and month is not None:
        raise UsageError("the figures are in the package; leave --month out")
    workspace, now = Workspace(folder), datetime.now(UTC).replace(microsecond=0)
    with checking():
        terms, published = workspace.terms().public, published_registry(workspace.repository)
        responsible = responsible_body(folder, read_report_settings(folder))
    if package is None:
        content, files = _stated(workspace, terms, published, month, now)
        signed = signed_statement(content, open_signers(key), published.root)
    else:
        given = read_site_package(package)
        check_published(given, published, now)
        content, files, signed = given.statement.content, given.files(), given.statement.to_bytes()
    holders = licensed_holders(
        published.document, published.suspensions, published.index, datetime.fromisoformat(content["issued"])
    )
    numbers, figures = files.numbers, files.figures
    sounds = shipped_sounds() | ({} if sound is None else {"standard.wav": given_sound(sound)})
    recogniser = detector()
    cities = [] if municipalities is None else read_municipalities(municipalities)
    made = site_files(
        SiteFacts(
            published.editions.association,
            responsible,
            terms.address,
            terms.desk,
            terms.service,
            f"{now.astimezone(JAPAN):%Y-%m-%d %H:%M}",
            published.root.version,
            holders,
            None if figures is None else json.loads(figures),
            terms.hourly,
            terms.hourly_each,
            numbers.area_digits,
            "standard" if sound else None,
            terms.test_number or None,
            recogniser.titles if recogniser else {},
            published.document.stopping_version,
            published.document.stopping_conditions,
            course_of(folder) if terms.course else None,
        ),
        published.metadata,
        signed,
        numbers,
        figures,
        sounds,
        recogniser.script if recogniser else None,
        cities,
    )
    write_site(output, made)
    _report(output, content, made, recogniser is not None, as_json)


def _stated(
    workspace: Workspace, terms: PublicTerms, published: PublishedRegistry, month: str | None, now: datetime
) -> tuple[dict[str, Any], SiteFiles]:
    holders = licensed_holders(published.document, published.suspensions, published.index, now)
    expires = changes_at(published.document, published.index, holders, terms.names_holders, now)
    if expires <= now:
        raise TrustError("what is published has expired; publish first")
    keys = key_pair(_key(workspace.folder / KEY_FILE))
    figures = _figures(workspace, month, published, now)
    places = {each.member: place for place, each in enumerate(holders, 1)} if terms.names_holders else {}
    with command_line.working(Message("table of numbers")):
        numbers = table(keys, answers(published.index, places, now))
    content = statement(published.editions, keys.public, numbers, holders, terms.names_holders, figures, now, expires)
    return content, SiteFiles(numbers, figures)


def prepare_site(
    folder: FolderOption,
    package: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write what is to be signed.")],
    month: MonthOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Write the public site's statement into a folder (the package). Pass it from holder to holder, or give each a
    copy.

    It replaces a package that no holder has signed. It also replaces a void package: one that has expired, or that is
    older than the last publication. Holders sign it with `site sign`, or a ZIP of it with `idtone-sign`; `site
    assemble` collects the signatures, and `site write --package` writes the site. Prepare it after a publication: a
    later publication makes it void.
    """
    workspace, now = Workspace(folder), datetime.now(UTC).replace(microsecond=0)
    with checking():
        terms, published = workspace.terms().public, published_registry(workspace.repository)
    content, files = _stated(workspace, terms, published, month, now)
    made = site_package(workspace.repository, content, files.numbers, files.figures)
    if is_site_package(package):
        given = read_site_package(package)
        if given.statement.signatures and not is_void(given, published, now):
            raise UsageError(
                "{package}: holders have signed this package; write the site with it, or remove it", package=package
            )
        shutil.rmtree(package)
    made.write(package)
    missing = list(made.missing())
    if as_json:
        command_line.print_json({"package": str(package), "expires": content["expires"], "missing": missing})
        return
    print(translated("{package} needs these signatures:", package=package), *map(translated, missing), sep="\n  ")


def sign_site(
    package: SitePackageArgument,
    key: KeyOption,
    trust: Annotated[
        Path,
        typer.Option("--trust", metavar="FILE", help="The association's root that you keep, in any of its versions."),
    ],
    numbers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A copy of public-numbers.key; with it, the tables are compared with the registry."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show what the public site states, and sign it with your key.

    The command verifies the publication with the root that you keep, and checks that the statement agrees with it. The
    tables of numbers are secret: only with the office's key of the numbers can they be compared with the registry.
    """
    made, now = read_site_package(package), datetime.now(UTC)
    try:
        seed = None if numbers is None else read_key(numbers, file_mode(numbers.parent))
    except (OSError, LedgerError) as error:
        raise TrustError("{error}", error=error) from error
    with checking():
        shown = site_words(made, read_root(trust), now, seed)
    sign_shown(package, made, shown, key, yes, as_json)


def assemble_site(
    package: SitePackageArgument,
    copies: Annotated[
        list[Path], typer.Argument(metavar="COPY", help="Copies of it that holders signed: folders, or ZIPs.")
    ],
    as_json: command_line.JsonOption = False,
) -> None:
    """Add the signatures of a package's copies to the package. Exit 1: signatures are still missing."""
    whole = assembled_site({path: _copy(path) for path in (package, *copies)})
    whole.write_signatures(package)
    missing = list(whole.missing())
    if as_json:
        command_line.print_json({"signatures": whole.statement.holders(whole.root), "missing": missing})
    else:
        print_missing(missing)
    if missing:
        command_line.exit_negative()


def _copy(path: Path) -> SitePackage:
    found = read_copy(path)
    if not isinstance(found, SitePackage):
        raise UsageError("{file}: is not a package of the public site", file=path)
    return found


def _key(path: Path) -> bytes:
    """Read the key from a file, creating the file if it is missing. Raises TrustError.

    If a group shares the folder, its accounts may read the key.
    """
    try:
        return load_key(path, file_mode(path.parent))
    except LedgerError as error:
        raise TrustError("{error}", error=error) from error


def _figures(workspace: Workspace, month: str | None, published: PublishedRegistry, now: datetime) -> bytes | None:
    if month is None:
        return newest(workspace.folder)
    if month == LAST:
        month = f"{now.astimezone(JAPAN).replace(day=1) - timedelta(days=1):%Y-%m}"
    history = [entry for entry, signature in history_with_signatures(workspace, None) if signature is not None]
    secret = _key(workspace.folder / FIGURES_KEY_FILE)
    return figures_of_month(DocumentDesk(workspace.folder, {}), month, history, published.suspensions, secret, now)


@dataclass(frozen=True, slots=True)
class Detector:
    """Browser script of the sound detector, and titles of the shipped sound profiles by language."""

    script: str
    titles: dict[str, dict[str, str]]


def detector() -> Detector | None:
    """Load the sound detector for the site's page, or return None if numpy is not installed."""
    if find_spec("numpy") is None:
        return None
    from idtone.tones.detector.detector_bundle import detector_bundle
    from idtone.tones.detector.profile_json import profile_json
    from idtone.tones.profile_library import load_library

    library = load_library()
    found = {name: library[name] for name in ("sample", "notice")}
    texts = ", ".join(f'"{name}": {profile_json(profile)}' for name, profile in found.items())
    titles = {}
    for name, profile in found.items():
        ja, _, en = profile.title.partition(" / ")
        titles[name] = {"ja": ja, "en": en or ja}
    return Detector(f"{detector_bundle()}const PROFILES = {{ {texts} }};\n", titles)


def _report(output: Path, content: dict[str, Any], made: dict[str, bytes], has_detector: bool, as_json: bool) -> None:
    size = size_without_sounds(made)
    if as_json:
        command_line.print_json(
            {
                "site": str(output), "files": len(made), "bytes_without_sounds": size, "expires": content["expires"],
                "tells": content["numbers"]["tells"], "tables": len(content["numbers"]["tables"]),
                "recognises": has_detector,
            }
        )  # fmt: skip
        return
    words = Message(
        "{site}: {files} files, {size} kB without the sounds; valid until {expires}",
        site=output,
        files=len(made),
        size=size // 1000,
        expires=content["expires"],
    )
    command_line.say(words)
    if not has_detector:
        command_line.say(
            "the page that recognises the sound is left out: it needs {command}", command=install_command("sounds")
        )


def serve_site(
    folder: AnyFolderOption,
    site: Annotated[
        Path | None, typer.Option("--site", metavar="DIR", help="Also serve this site; otherwise another server does.")
    ] = None,
    listen: command_line.ListenOption = "127.0.0.1:8711",
) -> None:
    """Run the number service of the public site until SIGTERM. It learns no number.

    It needs public-numbers.key of the folder, and authority.yaml for its limits: a host that has copies of these two
    can run it. It keeps no log of requests. It speaks HTTP; put a proxy with TLS in front of it.
    """
    host, port = command_line.listen_address(listen)
    with checking():
        terms = Workspace(folder).terms().public
    try:
        keys = key_pair(read_key(folder / KEY_FILE, file_mode(folder)))
    except OSError as error:
        raise TrustError("{path}: cannot be read: {reason}", path=folder, reason=error.strerror) from error
    except LedgerError as error:
        raise TrustError("{error}", error=error) from error
    limits = number_service.Limits(terms.hourly, terms.hourly_each)
    origins = {_origin(each) for each in (terms.address, *terms.mirrors)}
    served = number_service.application(keys, limits, site, _origin(terms.desk), _origin(terms.service), origins)
    asyncio.run(_serve(served, host, port))


async def _serve(served: Any, host: str, port: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    try:
        await number_service.serve(served, host, port, lambda bound: print(f"http://{host}:{bound}", flush=True), over)
    except OSError as error:
        raise UsageError(
            "--listen {host}:{port}: {reason}", host=host, port=port, reason=error.strerror or error
        ) from error


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if address else ""
