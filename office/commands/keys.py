"""The commands `key new`, `rotate` and `keep-for-night`, and `publication begin`, of `idtone-office`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from securesystemslib.signer import Key, Signer

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.signing_keys import load_public, make_key, public_beside, token_key, write_public
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_passphrase
from idtone.core.translation import Message, translated
from idtone.registry.commands.check_progress import checking
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.tuf_roles import Keys

from ..authority import pending_rotations
from ..authority.change_registry import Attribution, record_edits
from ..authority.edition import Edition
from ..authority.edition_rules import describe_edition
from ..authority.edits_by_hand import record_edits_by_hand
from ..authority.forbidden_key_places import check_key_place
from ..authority.history import Action, HistoryEntry
from ..authority.night_keys import keep_night_key, night_key_path
from ..authority.workspace import Workspace
from .options import FolderOption, WhyOption, attribution_for
from .signing_options import KeyOption, open_signers, print_report, published_state, warn_of_key_places, write_package

KeysOption = Annotated[
    Path | None, typer.Option("--keys", metavar="FOLDER", help="Make the keys there, outside the authority's folder.")
]
PackageOption = Annotated[
    Path | None,
    typer.Option("--package", metavar="FOLDER", help="Write there what is to be signed, instead of publishing it."),
]
PublicOption = Annotated[
    list[str] | None,
    typer.Option(
        "--public", metavar="SET=FILE", help="The public half of a holder's key: root=a.pub. May be repeated."
    ),
]


def new_key(
    file: Annotated[str, typer.Argument(metavar="KEY", help="The file to make, or hsm:… for a key in a token.")],
    public: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file for the public half (default: KEY with .pub).")
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Create your own key, and its public half for the authority. For a key in a token, write only its public half.

    Make the key in a folder on your own computer, such as ~/idtone-keys/root-1.pem. The key stays there; hand over only
    the public half. The command creates the folder so that only you can read it. It refuses a folder that contains a
    package.
    """
    if file.startswith("hsm:"):
        if public is None:
            raise UsageError("name the file for the public half with --public")
        made = token_key(file, lambda _: ask_passphrase(Message("(PIN) of the token {file}", file=file)))
        write_public(public, made)
    else:
        public = public or public_beside(Path(file))
        check_key_place(Path(file).parent)
        warn_of_key_places([file])
        _make_folder(Path(file).parent)
        made = make_key(
            Path(file), ask_passphrase(Message("for the new key {file}", file=file), twice=True), public
        ).public_key
    if as_json:
        command_line.print_json({"key": file, "public": str(public), "id": made.keyid})
    else:
        print(
            translated(
                "give {public} alone to the authority; the key {file} stays on your own computer",
                public=public,
                file=file,
            ),
            f"id {made.keyid}",
            sep="\n",
        )


def begin_repository(
    folder: FolderOption,
    keys: KeysOption = None,
    public: PublicOption = None,
    key: KeyOption = [],  # noqa: B006  Typer wants a list
    package: PackageOption = None,
    why: WhyOption = "first edition",
    as_json: command_line.JsonOption = False,
) -> None:
    """Begin a repository with registry.yaml and suspensions.yaml, and the keys that sign them.

    With --keys, the command makes all keys: three root keys, three registry keys and four duty keys, each in its own
    file. Two keys of a set have to sign. Give the keys to their holders. Or each holder makes a key (`idtone-office key
    new`). Then name the public halves with --public. Also name the --package for the holders to sign, or each --key
    that signs now. At its end, the command names the root metadata: give this file to the members. authority.yaml in
    the folder can set other numbers of keys, thresholds and terms.
    """
    workspace = Workspace(folder)
    workspace.repository.check_new()
    with checking():
        workspace.check_files()
    attribution, now = attribution_for(why), datetime.now(UTC)
    if public and not key and package is None:
        raise UsageError("with --public, name the --package for the holders, or each --key that signs now")
    given = open_signers(key)
    halves, made = _new_sets(workspace, keys, public, tuple(Keys))
    for kind in Keys:
        _check_count(workspace, kind, len(halves.get(kind, ())))
    with checking():
        record_edits(workspace, attribution, workspace.roles_edited_by_hand())
    with checking():
        with _removed_if_refused(workspace, keys, tuple(Keys)):
            edition = workspace.first_edition(halves, now)
            _sign(edition, (*given, *made), package)
        if package is None:
            workspace.publish_edition(edition, now)
    if package is None:
        _print_root(workspace, as_json)
    else:
        write_package(edition, package, now, as_json)


def rotate(
    folder: FolderOption,
    why: WhyOption,
    sets: Annotated[
        list[Keys], typer.Argument(metavar="SET", help="With --keys, the sets to replace: root, registry, duty.")
    ] = [],  # noqa: B006  Typer wants a list
    keys: KeysOption = None,
    public: PublicOption = None,
    key: KeyOption = [],  # noqa: B006  Typer wants a list
    package: PackageOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Replace keys of one or more sets: a holder leaves, or a key was lost or stolen.

    With --public, name every key of the new set, also the keys that stay. Or let --keys make all keys of a set. Two
    root keys have to sign, and two keys of every other set whose signatures depend on the change. With --package, the
    holders sign one after another.
    """
    workspace, now, attribution = Workspace(folder), datetime.now(UTC), attribution_for(why)
    if public and sets:
        raise UsageError("--public names the sets itself; name a SET with --keys alone")
    if keys and not sets:
        raise UsageError("with --keys, name each SET to replace: {names}", names=", ".join(Keys))
    given = open_signers(key)
    with checking():
        record_edits_by_hand(workspace, None, tuf_roles.DELEGATED)
    halves, made = _new_sets(workspace, keys, public, sets)
    with workspace.locked(), checking():
        with _removed_if_refused(workspace, keys, sets):
            entries = {kind: _rotation(workspace, kind, halves[kind], attribution) for kind in halves}
            lines: dict[str, list[HistoryEntry]] = {}
            for kind, entry in entries.items() if package is None else ():
                lines.setdefault(pending_rotations.history_role_of(kind), []).append(entry)
            edition = workspace.rotated_edition(halves, now, lines)
            _sign(edition, (*given, *made), package)
        signed = workspace.publish_edition(edition, now, lines) if package is None else []
        if package is not None:
            write_package(edition, package, now, as_json)
            for kind, entry in entries.items():
                pending_rotations.store_rotation(workspace.folder, kind, entry)
    if package is None:
        with checking():
            words = list(describe_edition(edition))
        print_report({"signed": signed, "left": [], "words": words, **published_state(workspace, now)}, as_json)


def _sign(edition: Edition, keys: Sequence[Signer], package: Path | None) -> None:
    for each in keys:
        edition.sign(each)
    if package is None:
        edition.check_complete()
    elif package.exists():
        raise UsageError("{folder}: exists already; remove it, or name another folder", folder=package)


@contextmanager
def _removed_if_refused(workspace: Workspace, keys: Path | None, sets: Sequence[Keys]) -> Iterator[None]:
    """Delete the new keys in the folder `keys` if the `with` block fails, so that the command can be repeated.

    Publish outside the block, so that a key in force is never deleted.
    """
    try:
        yield
    except IdtoneError:
        for path in chain(*(_files(workspace, keys, kind) for kind in sets)) if keys else ():
            path.unlink(missing_ok=True)
            public_beside(path).unlink(missing_ok=True)
        raise


def _files(workspace: Workspace, keys: Path, kind: Keys) -> list[Path]:
    return [keys / f"{kind}-{number}.pem" for number in range(1, workspace.terms().key_set(kind).keys + 1)]


def _rotation(workspace: Workspace, kind: Keys, halves: list[Key], attribution: Attribution) -> HistoryEntry:
    before, after = pending_rotations.keys_in_force(workspace.repository, kind), [half.keyid for half in halves]
    if before == {*after}:
        raise UsageError("the set {kind} has these keys already", kind=kind)
    return attribution.entry(Action.ROTATE, str(kind), what=pending_rotations.describe_rotation(before, after))


def _new_sets(
    workspace: Workspace, keys: Path | None, public: list[str] | None, sets: Sequence[Keys]
) -> tuple[dict[Keys, list[Key]], list[Signer]]:
    """Public keys by set, and the signers for those that can sign.

    The keys are new ones for `sets` in the folder `keys`, or are read from the `--public` files. Only new keys can
    sign. Raises IdtoneError.
    """
    if (keys is None) == (public is None):
        raise UsageError("either make the keys here with --keys, or name the holders' public halves with --public")
    if keys is not None:
        made = _made_here(workspace, keys, sets)
        return {kind: [each.public_key for each in own] for kind, own in made.items()}, [*chain(*made.values())]
    halves: dict[Keys, list[Key]] = {}
    for given in public or ():
        kind, separator, file = given.partition("=")
        if not separator or kind not in set(Keys):
            raise UsageError(
                "--public {given!r} is not SET=FILE; the sets are {names}", given=given, names=", ".join(Keys)
            )
        halves.setdefault(Keys(kind), []).append(load_public(Path(file)))
    for kind, found in halves.items():
        if len({key.keyid for key in found}) < len(found):
            raise UsageError("the set {kind} has a key twice; each holder needs a key of their own", kind=kind)
        _check_count(workspace, kind, len(found))
    return halves, []


def _made_here(workspace: Workspace, keys: Path, sets: Sequence[Keys]) -> dict[Keys, list[Signer]]:
    if keys.resolve() == workspace.folder.resolve() or workspace.folder.resolve() in keys.resolve().parents:
        raise UsageError("{keys}: is in the authority's folder, which others can read; name another folder", keys=keys)
    check_key_place(keys)
    warn_of_key_places(_files(workspace, keys, sets[0])[:1])
    secret = ask_passphrase(Message("for the new keys"), twice=True)
    _make_folder(keys)
    return {kind: [make_key(path, secret) for path in _files(workspace, keys, kind)] for kind in sets}


def _make_folder(keys: Path) -> None:
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError("{keys}: cannot be made: {reason}", keys=keys, reason=error.strerror) from error


def _check_count(workspace: Workspace, kind: Keys, count: int) -> None:
    wanted = workspace.terms().key_set(kind).keys
    if count != wanted:
        raise UsageError(
            "the set {kind} has {wanted} keys, not {count}; name {wanted}, or change authority.yaml",
            kind=kind,
            wanted=wanted,
            count=count,
        )


def _print_root(workspace: Workspace, as_json: bool) -> None:
    root = workspace.repository.folder / tuf_roles.METADATA / "1.root.json"
    sha256 = hashlib.sha256(root.read_bytes()).hexdigest()
    print_report({**published_state(workspace, datetime.now(UTC)), "root": str(root), "root_sha256": sha256}, as_json)


def keep_for_night(
    folder: FolderOption,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user of the console who has the key.")],
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The officer's duty key, encrypted.")],
) -> None:
    """Store an officer's encrypted duty key at the office, so that the officer can sign a suspension from home at
    night.

    Use this only if the association has decided so. Only the officer knows the passphrase, and types it at each
    signature. To end this, delete the file that the command names.
    """
    warn_of_key_places([key])
    key_id = keep_night_key(Workspace(folder), user, key, ask_passphrase(Message("of {file}", file=key)))
    told = Message(
        "{user} can sign stops at night with the key {key}; to end this, delete {path}",
        user=user,
        key=key_id[:8],
        path=night_key_path(folder, user),
    )
    command_line.say(told)
