"""`idtone-office key new | init | rotate`: make keys, begin a repository with them, and replace them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from securesystemslib.signer import Key, Signer

from idtone.core.errors import UsageError
from idtone.core.signing_keys import PUBLIC, load_public, make_key, public_beside, signer, token_key, write_public
from idtone.core.terminal import command_line
from idtone.core.terminal.asking import passphrase
from idtone.core.translation import Message, translated
from idtone.registry.commands.checking import checking
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.tuf_roles import Keys

from ..authority import pending_rotations
from ..authority.change_registry import record_edits
from ..authority.edition_rules import describe
from ..authority.edits_by_hand import record_edits_by_hand
from ..authority.history import Action
from ..authority.night_keys import keep_night_key, night_key_path
from ..authority.workspace import Workspace
from .options import FolderArgument, WhyOption, attributed
from .signers import KeyOption, print_report, signers, state, write_package

NewOption = Annotated[
    list[Path],
    typer.Option(
        "--new",
        metavar="FILE",
        help="A key of the new set: its file (made if it does not exist), or the public half (.pub) of a holder's key.",
    ),
]
PackageOption = Annotated[
    Path | None,
    typer.Option("--package", metavar="FOLDER", help="Write what is to be signed there, instead of publishing it."),
]
PublicOption = Annotated[
    list[str] | None,
    typer.Option("--public", metavar="SET=FILE", help="The public half of a holder's key: root=a.pub. Several times."),
]


def key(
    file: Annotated[str, typer.Argument(metavar="KEY", help="The file to make, or hsm:… for a key in a token.")],
    public: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file for the public half (default: KEY with .pub).")
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Make your own key and its public half, which the authority needs. For a key in a token: write its public half."""
    if file.startswith("hsm:"):
        if public is None:
            raise UsageError(Message("name the file for the public half with --public"))
        made = token_key(file, lambda _: passphrase(Message("(PIN) of the token {file}", file=file)))
        write_public(public, made)
    else:
        public = public or public_beside(Path(file))
        made = make_key(
            Path(file), passphrase(Message("for the new key {file}", file=file), twice=True), public
        ).public_key
    if as_json:
        command_line.print_json({"key": file, "public": str(public), "id": made.keyid})
    else:
        print(
            translated(Message("give {public} to the authority, and keep the key itself to yourself", public=public)),
            f"id {made.keyid}",
            sep="\n",
        )


def init(
    folder: FolderArgument,
    keys: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Make the keys there, outside the authority's folder.")
    ] = None,
    public: PublicOption = None,
    package: PackageOption = None,
    why: WhyOption = "first edition",
    as_json: command_line.JsonOption = False,
) -> None:
    """Begin a repository with registry.yaml and suspensions.yaml, and the keys that sign them.

    With --keys, the command makes all keys: three root keys, three registry keys and four duty keys, each in its own
    file; two of a set sign. Give them to their holders. Or each holder makes a key (`idtone-office key new`): then
    name the public halves with --public, and the --package to sign. Give the members the root metadata that the command
    names at its end. authority.yaml in the folder can set other numbers of keys, thresholds and terms.
    """
    workspace = Workspace(folder)
    workspace.repository.check_new()
    with checking():
        workspace.check()
    if (keys is None) == (public is None):
        raise UsageError(
            Message("either make the keys here with --keys, or name the holders' public halves with --public")
        )
    attribution, now = attributed(why), datetime.now(UTC)
    if keys is not None:
        made = _made_here(workspace, keys)
        halves = {kind: [each.public_key for each in signers] for kind, signers in made.items()}
        record_edits(workspace, attribution, workspace.unrecorded())
        with checking():
            workspace.begin(halves, [each for signers in made.values() for each in signers], now)
        _print_root(workspace, as_json)
        return
    if package is None:
        raise UsageError(Message("with --public, name the --package for the holders"))
    halves = _public_halves(workspace, public or [])
    record_edits(workspace, attribution, workspace.unrecorded())
    with checking():
        edition = workspace.first(halves, now)
    write_package(edition, package, now, as_json)


def _made_here(workspace: Workspace, keys: Path) -> dict[Keys, list[Signer]]:
    if keys.resolve() == workspace.folder.resolve() or workspace.folder.resolve() in keys.resolve().parents:
        raise UsageError(
            Message("{keys}: is in the authority's folder, which others can read; name another folder", keys=keys)
        )
    terms = workspace.terms()
    secret = passphrase(Message("for the new keys"), twice=True)
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(Message("{keys}: cannot be made: {reason}", keys=keys, reason=error.strerror)) from error
    return {
        kind: [make_key(keys / f"{kind}-{number}.pem", secret) for number in range(1, terms.set_of(kind).keys + 1)]
        for kind in Keys
    }


def _public_halves(workspace: Workspace, public: list[str]) -> dict[Keys, list[Key]]:
    halves: dict[Keys, list[Key]] = {kind: [] for kind in Keys}
    for given in public:
        kind, separator, file = given.partition("=")
        if not separator or kind not in set(Keys):
            raise UsageError(
                Message("--public {given!r} is not SET=FILE; the sets are {names}", given=given, names=", ".join(Keys))
            )
        halves[Keys(kind)].append(load_public(Path(file)))
    for kind, found in halves.items():
        _check_set(workspace, kind, found)
    return halves


def _check_set(workspace: Workspace, kind: Keys, keys: list[Key]) -> None:
    if len({key.keyid for key in keys}) < len(keys):
        raise UsageError(Message("the set {kind} has a key twice; each holder needs a key of their own", kind=kind))
    _check_count(workspace, kind, len(keys))


def _check_count(workspace: Workspace, kind: Keys, count: int) -> None:
    wanted = workspace.terms().set_of(kind).keys
    if count != wanted:
        raise UsageError(
            Message(
                "the set {kind} has {wanted} keys, not {count}; name {wanted}, or change authority.yaml",
                kind=kind,
                wanted=wanted,
                count=count,
            )
        )


def rotate(
    folder: FolderArgument,
    keys: Annotated[Keys, typer.Argument(metavar="SET", help="The set to replace: root, registry or duty.")],
    new: NewOption,
    why: WhyOption,
    key: KeyOption = [],  # noqa: B006  Typer wants a list
    package: PackageOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Replace every key of a set with the keys that --new names, because one was lost or stolen.

    This needs two root keys, and two keys of every other set whose signatures depend on them. With --package, they
    sign one after another.
    """
    workspace, now, attribution = Workspace(folder), datetime.now(UTC), attributed(why)
    given = signers(key)
    record_edits_by_hand(workspace, None, tuf_roles.DELEGATED)
    _check_count(workspace, keys, len(new))
    made = [_new(path) for path in new]
    halves = [half for half, _ in made]
    _check_set(workspace, keys, halves)
    with workspace.locked(), checking():
        what = pending_rotations.words_of([half.keyid for half in halves])
        entry = attribution.entry(Action.ROTATE, str(keys), what=what)
        lines = {} if package else {pending_rotations.history_of(keys): entry}
        edition = workspace.rotated({keys: halves}, now, lines)
        signed: list[str] = []
        if package is None:
            signed = workspace.put_signed(edition, (*given, *(own for _, own in made if own)), now, lines)
        else:
            pending_rotations.keep(workspace, keys, entry)
    if package is not None:
        write_package(edition, package, now, as_json)
    else:
        with checking():
            words = list(describe(edition))
        print_report({"signed": signed, "left": [], "words": words, **state(workspace, now)}, as_json)


def _new(path: Path) -> tuple[Key, Signer | None]:
    """The public half, and the key itself if the file holds it."""
    if path.suffix == PUBLIC:
        return load_public(path), None
    own = (
        signer(str(path), passphrase)
        if path.exists()
        else make_key(path, passphrase(Message("for the new key {file}", file=path), twice=True))
    )
    return own.public_key, own


def _print_root(workspace: Workspace, as_json: bool) -> None:
    root = workspace.repository.folder / tuf_roles.METADATA / "1.root.json"
    sha256 = hashlib.sha256(root.read_bytes()).hexdigest()
    print_report({**state(workspace, datetime.now(UTC)), "root": str(root), "root_sha256": sha256}, as_json)


def keep_for_night(
    folder: FolderArgument,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user of the console who has the key.")],
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The officer's duty key, encrypted.")],
) -> None:
    """Keep an officer's encrypted duty key at the office, so that the officer can sign a stop from home at night.

    Only where the association decides so. The officer alone knows the passphrase, and types it at each signature. To
    end this, delete the file that the command names.
    """
    key_id = keep_night_key(Workspace(folder), user, key, passphrase(Message("of {file}", file=key)))
    told = Message(
        "{user} can sign stops at night with the key {key}; to end this, delete {path}",
        user=user,
        key=key_id[:8],
        path=night_key_path(folder, user),
    )
    print(translated(told))
