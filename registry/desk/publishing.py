"""`idtone registry init | key | publish | prepare | sign | assemble | rotate`: what is signed, and by whom."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from securesystemslib.signer import Key, Signer

from idtone import console
from idtone.errors import TrustError, UsageError

from ..trust import layout
from ..trust.layout import Keys
from . import changing
from .desk import Desk
from .editions import Edition, assembled, read_edition
from .examining import examine, examine_before, examine_issued, words
from .history import Verb
from .keys import PUBLIC, load_public, make_key, public_beside, signer, token_key, write_public
from .options import ByHandConfirmed, ByOption, FolderArgument, WhyOption, passphrase, word
from .site import read_root, write_site

KeyOption = Annotated[
    list[str], typer.Option("--key", metavar="KEY", help="A key to sign with: its file, or hsm:… Several times.")
]
NewOption = Annotated[
    list[Path], typer.Option("--new", metavar="FILE", help="A key of the new set: its file (made where it is not"
                             " there), or the public half (.pub) of one that its holder made.")
]  # fmt: skip
PackageOption = Annotated[
    Path | None,
    typer.Option("--package", metavar="FOLDER", help="Write what is to be signed there, instead of publishing it."),
]
PackageArgument = Annotated[Path, typer.Argument(metavar="PACKAGE", help="The folder that `prepare` has made.")]
TrustOption = Annotated[
    Path | None,
    typer.Option("--trust", metavar="FILE", help="The association's root that you keep: any one of those so far."),
]
FirstOption = Annotated[
    bool, typer.Option("--first", help="There is nothing before it: this begins the association's repository.")
]
HandBy = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who changed the files by hand.")]
HandWhy = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="And why.")]
PublicOption = Annotated[
    list[str] | None,
    typer.Option("--public", metavar="SET=FILE", help="A key that its holder made: root=alice.pub. Several times."),
]


def key(
    file: Annotated[
        str, typer.Argument(metavar="KEY", help="The file to make, or hsm:… for a key that is in a token.")
    ],
    public: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the public half goes (default: KEY with .pub).")
    ] = None,
    as_json: console.JsonOption = False,
) -> None:
    """Make a key of your own, and the public half of it that the others need. Of a token: write the public half."""
    if file.startswith("hsm:"):
        if public is None:
            raise UsageError("name the file for the public half with --public")
        made = token_key(file, lambda _: passphrase(f"(PIN) of the token {file}"))
        write_public(public, made)
    else:
        public = public or public_beside(Path(file))
        made = make_key(Path(file), passphrase(f"for the new key {file}", twice=True), public).public_key
    if as_json:
        console.print_json({"key": file, "public": str(public), "id": made.keyid})
    else:
        print(f"{public}  give this file to the desk, and the other to nobody; the key's id is", made.keyid, sep="\n")


def init(
    folder: FolderArgument,
    by: ByOption,
    keys: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Make the keys there: not the desk's folder.")
    ] = None,
    public: PublicOption = None,
    package: PackageOption = None,
    why: WhyOption = "first edition",
    as_json: console.JsonOption = False,
) -> None:
    """Begin a repository: registry.yaml and suspensions.yaml of the folder, and whose keys sign them.

    With --keys all keys are made here: three root keys, three of the registry and two of the duty desk, each in a file
    of its own; two of a kind sign. Give them to their holders. Or each holder makes his own (`idtone registry key`);
    name their public halves with --public, and the --package to sign. Give the root metadata that is named at the end
    to the members. desk.yaml in the folder may say other numbers of keys, thresholds and terms.
    """
    desk = Desk(folder)
    desk.check_new()
    desk.check()
    if (keys is None) == (public is None):
        raise UsageError("either --keys makes the keys here, or --public names those that their holders made")
    said, now = word(by, why), datetime.now(UTC)
    if keys is not None:
        made = _made_here(desk, keys)
        halves = {kind: [each.public_key for each in signers] for kind, signers in made.items()}
        changing.enter_edits(desk, said, desk.unexplained())
        desk.begin(halves, [each for signers in made.values() for each in signers], now)
        _print_root(desk, as_json)
        return
    if package is None:
        raise UsageError("with --public name the --package that goes to the holders")
    halves = _public_halves(desk, public or [])
    changing.enter_edits(desk, said, desk.unexplained())
    _write_package(desk.first(halves, now), package, now, as_json)


def _made_here(desk: Desk, keys: Path) -> dict[Keys, list[Signer]]:
    if keys.resolve() == desk.folder.resolve() or desk.folder.resolve() in keys.resolve().parents:
        raise UsageError(f"{keys}: the keys would lie in what is published; name another folder")
    terms = desk.terms()
    secret = passphrase("for the new keys", twice=True)
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{keys}: cannot be made: {error.strerror}") from error
    return {
        kind: [make_key(keys / f"{kind}-{number}.pem", secret) for number in range(1, terms.set_of(kind).keys + 1)]
        for kind in Keys
    }


def _public_halves(desk: Desk, public: list[str]) -> dict[Keys, list[Key]]:
    halves: dict[Keys, list[Key]] = {kind: [] for kind in Keys}
    for given in public:
        kind, separator, file = given.partition("=")
        if not separator or kind not in set(Keys):
            raise UsageError(f"--public {given!r} is not SET=FILE; the sets are {', '.join(Keys)}")
        halves[Keys(kind)].append(load_public(Path(file)))
    for kind, found in halves.items():
        _enough(desk, kind, found)
    return halves


def _enough(desk: Desk, kind: Keys, keys: list[Key]) -> None:
    if len({key.keyid for key in keys}) < len(keys):
        raise UsageError(f"the set {kind} has a key twice; each holder has his own")
    _right_count(desk, kind, len(keys))


def _right_count(desk: Desk, kind: Keys, count: int) -> None:
    wanted = desk.terms().set_of(kind).keys
    if count != wanted:
        raise UsageError(f"the set {kind} has {wanted} keys, and {count} are named; name as many, or change desk.yaml")


def publish(
    folder: FolderArgument,
    key: KeyOption = [],  # noqa: B006  Typer wants a list
    package: Annotated[
        Path | None, typer.Option("--package", metavar="FOLDER", help="Publish this, which its holders have signed.")
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write the public list of operators there, as a web site."),
    ] = None,
    by: HandBy = None,
    why: HandWhy = None,
    confirmed_by: ByHandConfirmed = None,
    as_json: console.JsonOption = False,
) -> None:
    """Sign what has changed in registry.yaml and suspensions.yaml, and say that it is the latest.

    For suspensions the two keys of the duty desk are enough; a changed registry takes two of its own besides, and is
    left where none of them is given. Without a change the signatures are renewed: at least once a week, or members have
    nothing that is still good. Whatever has passed half of its term is renewed too, where its keys are given. Exit 2: a
    file has faults, or a role has not enough of the keys; then nothing was published.
    """
    desk = Desk(folder)
    now, left = datetime.now(UTC), list[str]()
    signers = _signers(key)
    if package is None:
        _explain(desk, by, why, confirmed_by, desk.present(signers))
    with desk.locked():
        if package is None:
            edition, left = desk.next(now, [each.public_key.keyid for each in signers])
        else:
            edition = desk.latest(read_edition(package), now)
        examine_issued(edition, now)
        signed = desk.put_signed(edition, signers, now)
    report = {"signed": signed, "left": left, "words": list(words(edition)), **_state(desk, now)}
    _print(report, as_json)
    if site:
        try:
            write_site(site, desk.listed(), desk.proof())
        except UsageError as error:
            raise UsageError(f"all that was published; but the public list was not: {error}") from error


def prepare(
    folder: FolderArgument,
    package: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write what is to be signed.")],
    by: HandBy = None,
    why: HandWhy = None,
    confirmed_by: ByHandConfirmed = None,
    as_json: console.JsonOption = False,
) -> None:
    """Write what is to be published as a folder that goes from holder to holder, or in copies to each.

    Everything that has changed, or has passed half of its term, is in it. `sign` adds a holder's signatures, `assemble`
    brings those of copies together, and `publish --package` publishes it. What waits may be overtaken: the duty desk
    can publish meanwhile, and signs the snapshot and the timestamp anew in the end.
    """
    desk, now = Desk(folder), datetime.now(UTC)
    _explain(desk, by, why, confirmed_by, layout.DELEGATED)
    edition, _ = desk.next(now)
    _write_package(edition, package, now, as_json)


def sign(
    package: PackageArgument,
    key: KeyOption,
    trust: TrustOption = None,
    first: FirstOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Show in words what a package changes, and sign it with your key.

    It takes the package, the key and a root of the association that you keep yourself: by that is verified what is said
    to be published now. A package that holds anything besides what it should is refused.
    """
    edition = read_edition(package)
    if first == bool(edition.before) or first == (trust is not None):
        remedy = "name with --trust the root that you keep" if edition.before else "it is the first one: say --first"
        raise UsageError(f"{package}: {remedy}")
    if trust is not None:
        examine_before(edition, read_root(trust))
    now = datetime.now(UTC)
    examine(edition, now)
    examine_issued(edition, now)
    told = list(words(edition))
    print(*told, sep="\n", file=sys.stderr if as_json else sys.stdout)
    if not yes and not typer.confirm("Sign this?", err=True):
        raise UsageError("nothing was signed")
    signed = {name: edition.sign(each) for name, each in zip(key, _signers(key), strict=True)}
    for name, roles in signed.items():
        if not roles:
            raise TrustError(f"{name}: this key signs nothing in {package}")
    edition.write_signatures(package)
    missing = list(edition.missing())
    if as_json:
        console.print_json({"words": told, "signed": signed, "missing": missing})
        return
    for name, roles in signed.items():
        print(f"signed with {name}: {', '.join(roles)}")
    print(*(missing or ["all signatures are there"]), sep="\n")


def assemble(
    package: PackageArgument,
    copies: Annotated[list[Path], typer.Argument(metavar="COPY …", help="Copies of it that others have signed.")],
    as_json: console.JsonOption = False,
) -> None:
    """Bring the signatures of copies of one package together in it. Exit 1: some are still missing."""
    whole = assembled({folder: read_edition(folder) for folder in (package, *copies)})
    whole.write_signatures(package)
    missing = list(whole.missing())
    if as_json:
        console.print_json({"signatures": whole.holders(), "missing": missing})
    else:
        print(*(missing or ["all signatures are there"]), sep="\n")
    if missing:
        console.negative()


def rotate(
    folder: FolderArgument,
    keys: Annotated[Keys, typer.Argument(metavar="SET", help="Whose keys are replaced: root, registry or duty.")],
    new: NewOption,
    by: ByOption,
    why: WhyOption,
    key: KeyOption = [],  # noqa: B006  Typer wants a list
    package: PackageOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Replace a set of keys, since one was lost or stolen: every key of it, by those that --new names.

    It takes two root keys, and two of every other set whose signatures depend on them; with --package they sign one
    after the other.
    """
    desk, now, said = Desk(folder), datetime.now(UTC), word(by, why)
    signers = _signers(key)
    _explain(desk, None, None, None, layout.DELEGATED)
    _right_count(desk, keys, len(new))
    made = [_new(path) for path in new]
    halves = [half for half, _ in made]
    _enough(desk, keys, halves)
    with desk.locked():
        role = layout.SUSPENSIONS if keys is Keys.DUTY else layout.REGISTRY
        desk.enter(role, said.entry(Verb.ROTATE, str(keys), what=_ids(halves)))
        edition = desk.rotated({keys: halves}, now)
        signed: list[str] = []
        if package is None:
            signed = desk.put_signed(edition, (*signers, *(own for _, own in made if own)), now)
    if package is not None:
        _write_package(edition, package, now, as_json)
    else:
        _print({"signed": signed, "left": [], "words": list(words(edition)), **_state(desk, now)}, as_json)


def _ids(keys: Iterable[Key]) -> tuple[str, ...]:
    return tuple(f"new key {key.keyid}" for key in keys)


def _new(path: Path) -> tuple[Key, Signer | None]:
    """Its public half, and the key itself where it is here."""
    if path.suffix == PUBLIC:
        return load_public(path), None
    own = (
        signer(str(path), passphrase)
        if path.exists()
        else make_key(path, passphrase(f"for the new key {path}", twice=True))
    )
    return own.public_key, own


def _signers(names: list[str]) -> list[Signer]:
    return [signer(name, passphrase) for name in names]


def _explain(desk: Desk, by: str | None, why: str | None, confirmed_by: str | None, concerned: Iterable[str]) -> None:
    """Enter into the history what was changed by hand of the roles that are signed; nobody signs what nobody answers
    for. The others wait, whatever they look like.
    """
    roles = desk.unexplained(concerned)
    if not roles:
        return
    if by is None or why is None:
        files = " and ".join(layout.DELEGATED[role] for role in roles)
        raise TrustError(
            f"{files} was changed by hand; `idtone registry note` with --by and --why enters who did it and why"
        )
    changing.enter_edits(desk, word(by, why, confirmed_by), roles)


def _write_package(edition: Edition, package: Path, now: datetime, as_json: bool) -> None:
    examine(edition, now)
    examine_issued(edition, now)
    told, missing = list(words(edition)), list(edition.missing())
    edition.write(package)
    if as_json:
        console.print_json({"package": str(package), "words": told, "missing": missing})
        return
    print(*told, sep="\n")
    print(f"{package} is to be signed:", *missing, sep="\n  ")


def _state(desk: Desk, now: datetime) -> dict[str, Any]:
    roles = {
        name: {"version": version, "until": until.isoformat(), "due": due}
        for name, version, until, due in desk.state(now)
    }
    return {"repository": str(desk.repository), "roles": roles}


def _print_root(desk: Desk, as_json: bool) -> None:
    root = desk.repository / layout.METADATA / "1.root.json"
    sha256 = hashlib.sha256(root.read_bytes()).hexdigest()
    _print({**_state(desk, datetime.now(UTC)), "root": str(root), "root_sha256": sha256}, as_json)


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(report)
        return
    if "signed" in report:
        print(*(line for line in report["words"] if line.partition(":")[0] not in layout.ROLES), sep="\n")
        print(f"signed: {', '.join(report['signed'])}")
    for name in report.get("left", ()):
        print(f"left: {layout.DELEGATED[name]} has changes that take the {layout.ROLES[name].keys} keys")
    for name, role in report["roles"].items():
        due = f"; sign it with the {layout.ROLES[name].keys} keys soon" if role["due"] else ""
        print(f"{name:<12} version {role['version']}, good until {role['until']}{due}")
    if "root" in report:
        print(f"the members need {report['root']}")
        print(f"SHA-256 {report['root_sha256']}, to be told them by another way")
    print(f"publish the folder {report['repository']}")
