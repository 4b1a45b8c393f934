"""The `publication` commands of `idtone-office`, which sign and publish changes to the registry.

Key holders sign in one place or pass a package from person to person.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import TrustError, UsageError
from idtone.core.terminal import command_line
from idtone.core.terminal.progress import progress
from idtone.core.translation import Message, translated
from idtone.registry.commands.check_progress import checking
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.roots import read_root

from ..authority.edition import Edition, assemble_edition, read_edition
from ..authority.edition_rules import check_edition, check_issued, check_operator_list, describe_edition
from ..authority.edits_by_hand import record_edits_by_hand
from ..authority.licence_mark import mark_files
from ..authority.undo import undo_last_change
from ..authority.workspace import Workspace
from ..authority.write_operator_list import write_operator_list
from ..evaluation.results import published_files
from ..refused.change_refusals import Refusals
from ..signing.package_zip import read_copy
from ..signing.signing_summary import summarize_package
from .history_output import print_change
from .options import FolderOption, WhyOption, attribution_for
from .signing_options import (
    KeyOption,
    open_signers,
    print_missing,
    print_report,
    published_state,
    sign_shown,
    write_package,
)

PackageArgument = Annotated[
    Path, typer.Argument(metavar="PACKAGE", help="The folder that `publication prepare` has written.")
]
WhyEditedOption = Annotated[
    str | None, typer.Option("--why", metavar="TEXT", help="Why the files were edited by hand, if they were.")
]


def publish(
    folder: FolderOption,
    key: KeyOption = [],  # noqa: B006  Typer wants a list
    package: Annotated[
        Path | None, typer.Option("--package", metavar="FOLDER", help="Publish this package, which its holders signed.")
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write the public list of operators there, as a web site."),
    ] = None,
    why: WhyEditedOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Sign what has changed in registry.yaml and suspensions.yaml, and state that this is the latest edition.

    Suspensions need the two duty keys, and so does the list of refused contractors. The list leaves out contractors
    whose period is over. A changed registry also needs two registry keys. Without registry keys, it stays unpublished.
    Before the passphrases are asked for, the command shows what has changed: each holder confirms it by signing.
    Without a change it renews the signatures. Do this at least every five days: otherwise the signatures expire, and no
    licence is valid any more. Metadata past half of their term are renewed as well, if their keys are given. Exit 2: a
    file has faults, or a role has too few keys; nothing was published.
    """
    workspace = Workspace(folder)
    now, left = datetime.now(UTC), list[str]()
    if package is None:
        _drop_ended(folder, now)
    if key:
        with checking():
            shown = list(_to_be_signed(workspace, package, now))
        print(*map(translated, shown), sep="\n", end="\n" * bool(shown), file=sys.stderr)
    given = open_signers(key)
    if package is None:
        with checking():
            record_edits_by_hand(
                workspace, None if why is None else attribution_for(why), workspace.signable_roles(given)
            )
    with workspace.locked(), checking():
        if package is None:
            edition, left = workspace.next_edition(now, [each.public_key.keyid for each in given])
        else:
            edition = workspace.rebase(read_edition(package), now)
        check_issued(edition, now)
        signed = workspace.sign_and_publish(edition, given, now)
        words = list(describe_edition(edition))
    print_report({"signed": signed, "left": left, "words": words, **published_state(workspace, now)}, as_json)
    if not workspace.is_copy_current():
        with checking():
            workspace.copy_published()
    if site:
        try:
            listed = workspace.repository.operator_list()
            content = json.loads(listed)
            files = published_files(workspace, content["operators"]) | mark_files(content)
            with progress() as bar:
                written = bar.track(files.items(), description="writing")
                write_operator_list(
                    site, listed, workspace.repository.operator_list_proof(), written, workspace.stopped_members(now)
                )
        except (UsageError, TrustError) as error:
            raise UsageError("the registry was published, but not the public list: {error}", error=error) from error


def copy_published(folder: FolderOption) -> None:
    """Copy the published repository to the folder that `published` of authority.yaml names.

    Each publication does this by itself. Run this command if a publication could not write the folder.
    """
    workspace = Workspace(folder)
    if workspace.terms().published is None:
        raise UsageError("{folder}: authority.yaml names no folder as `published`", folder=folder)
    with workspace.locked(), checking():
        workspace.copy_published()


def _drop_ended(folder: Path, now: datetime) -> None:
    with command_line.working(Message("list of refusals")):
        Refusals(folder).drop_ended(now)


def _to_be_signed(workspace: Workspace, package: Path | None, now: datetime) -> Iterable[str]:
    if package is None:
        return workspace.differences(is_whole=True)
    edition = workspace.rebase(read_edition(package), now).without_published()
    check_operator_list(edition)
    check_edition(edition, now)
    return describe_edition(edition, is_whole=True)


def prepare(
    folder: FolderOption,
    package: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write what is to be signed.")],
    why: WhyEditedOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Write the next publication into a folder (the package). Pass it from holder to holder, or give each a copy.

    The package contains everything that has changed, and all metadata past half of their term. `publication sign` adds
    a holder's signatures, `publication assemble` collects the signatures of copies, and `publication publish --package`
    publishes the result. The duty officers can publish in the meantime; then they sign the snapshot and the timestamp
    again at the end.
    """
    workspace, now = Workspace(folder), datetime.now(UTC)
    with checking():
        record_edits_by_hand(workspace, None if why is None else attribution_for(why), tuf_roles.DELEGATED)
    _drop_ended(folder, now)
    with checking():
        edition, _ = workspace.next_edition(now)
    write_package(edition, package, now, as_json)


def sign(
    package: PackageArgument,
    key: KeyOption,
    trust: Annotated[
        Path | None,
        typer.Option("--trust", metavar="FILE", help="The association's root that you keep, in any of its versions."),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="This is the first edition of the association's repository.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show what a package changes, with whole numbers, and sign it with your key.

    You need the package, your key, and a root of the association that you keep yourself: the command uses it to verify
    what is published now. It refuses a package with anything that it does not show.
    """
    with checking():
        edition = read_edition(package)
    if first == bool(edition.before) or first == (trust is not None):
        remedy = (
            Message("name the root that you keep with --trust")
            if edition.before
            else Message("it is the first one: say --first")
        )
        raise UsageError("{package}: {remedy}", package=package, remedy=remedy)
    now = datetime.now(UTC)
    with checking():
        shown = summarize_package(edition, None if trust is None else read_root(trust), now)
    sign_shown(package, edition, shown, key, yes, as_json)


def assemble(
    package: PackageArgument,
    copies: Annotated[
        list[Path], typer.Argument(metavar="COPY", help="Copies of it that holders signed: folders, or ZIPs.")
    ],
    as_json: command_line.JsonOption = False,
) -> None:
    """Add the signatures of a package's copies to the package. Exit 1: signatures are still missing."""
    whole = assemble_edition({path: _copy(path) for path in (package, *copies)})
    whole.write_signatures(package)
    missing = list(whole.missing())
    if as_json:
        command_line.print_json({"signatures": whole.signers_by_role(), "missing": missing})
    else:
        print_missing(missing)
    if missing:
        command_line.exit_negative()


def _copy(path: Path) -> Edition:
    found = read_copy(path)
    if not isinstance(found, Edition):
        raise UsageError("{file}: is not a package of the registry", file=path)
    return found


def undo(folder: FolderOption, why: WhyOption, as_json: command_line.JsonOption = False) -> None:
    """Take back the last unpublished change of the registry.

    The history keeps both the change and its withdrawal. Run it again to take back the change before that.
    To end a suspension, two people use `suspension lift` instead.
    """
    with checking():
        entry = undo_last_change(Workspace(folder), attribution_for(why))
    print_change(entry, as_json)
