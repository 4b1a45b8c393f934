"""Options and functions shared by the signing commands of `idtone-office`."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from securesystemslib.signer import Signer

from idtone.core.errors import TrustError, UsageError
from idtone.core.japan_time import end_words
from idtone.core.signing_keys import signer
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_confirmation, ask_passphrase
from idtone.core.translation import Message, translated
from idtone.registry.commands.check_progress import checking
from idtone.registry.trust import tuf_roles

from ..authority import forbidden_key_places
from ..authority.edition import Edition
from ..authority.edition_rules import check_edition, check_issued, describe_edition
from ..authority.workspace import Workspace

KeyOption = Annotated[
    list[str], typer.Option("--key", metavar="KEY", help="A key to sign with: its file, or hsm:… May be repeated.")
]


def open_signers(keys: list[str]) -> list[Signer]:
    """Open the signing keys, asking for their passphrases. Raises TrustError.

    Prints a warning for each key stored near a package.
    """
    warn_of_key_places(keys)
    return [signer(key, ask_passphrase) for key in keys]


def warn_of_key_places(keys: Iterable[str | Path]) -> None:
    for each in forbidden_key_places.place_warnings(keys):
        print(translated(each), file=sys.stderr)


def write_package(edition: Edition, package: Path, now: datetime, as_json: bool) -> None:
    """Write an edition with its signatures as a package for key holders and print its changes."""
    with checking():
        check_edition(edition, now)
        check_issued(edition, now)
        shown, missing = list(describe_edition(edition)), list(edition.missing())
        edition.write(package)
    if as_json:
        command_line.print_json({"package": str(package), "words": shown, "missing": missing})
        return
    print(*shown, sep="\n")
    print(translated("{package} needs these signatures:", package=package), *map(translated, missing), sep="\n  ")


class Signable(Protocol):
    """A package that key holders sign: an edition of the registry, or the public site's statement."""

    def sign(self, signer: Signer) -> list[str]: ...
    def missing(self) -> Iterator[Message]: ...
    def write_signatures(self, folder: Path) -> None: ...


def sign_shown(
    package: Path, signable: Signable, shown: Sequence[str], key: list[str], yes: bool, as_json: bool
) -> None:
    """Show a package's content, ask for consent and sign the package with the keys.

    Raises UsageError without consent, or TrustError if a key cannot sign the package.
    """
    print(*map(translated, shown), sep="\n", file=sys.stderr if as_json else sys.stdout)
    if not yes and not ask_confirmation(Message("Sign this?")):
        raise UsageError("nothing was signed")
    signed = {name: signable.sign(each) for name, each in zip(key, open_signers(key), strict=True)}
    for name, roles in signed.items():
        if not roles:
            raise TrustError("{name}: nothing in {package} takes the signature of this key", name=name, package=package)
    signable.write_signatures(package)
    missing = list(signable.missing())
    if as_json:
        command_line.print_json({"words": list(shown), "signed": signed, "missing": missing})
        return
    for name, roles in signed.items():
        command_line.say("signed with {key}: {roles}", key=name, roles=", ".join(roles))
    print_missing(missing)


def print_missing(missing: list[Message]) -> None:
    print(*map(translated, missing or [Message("all signatures are there")]), sep="\n")


def published_state(workspace: Workspace, now: datetime) -> dict[str, Any]:
    """State of the published roles, in the form that `print_report` expects."""
    roles = {
        name: {"version": version, "until": until.isoformat(), "due": due}
        for name, version, until, due in workspace.role_states(now)
    }
    return {"repository": str(workspace.repository.folder), "roles": roles}


def print_report(report: dict[str, Any], as_json: bool) -> None:
    """Print the state of the published roles and any signed roles."""
    if as_json:
        command_line.print_json(report)
        return
    if "signed" in report:
        print(*(line for line in report["words"] if line.partition(":")[0] not in tuf_roles.ROLES), sep="\n")
        command_line.say("signed: {roles}", roles=", ".join(report["signed"]))
    for name in report.get("left", ()):
        command_line.say(
            "not published: the changes of {file}; sign them with the {keys} keys",
            file=tuf_roles.DELEGATED[name],
            keys=tuf_roles.ROLES[name].keys,
        )
    for name, role in report["roles"].items():
        facts = {"role": f"{name:<12}", "version": role["version"], "until": end_words(role["until"])}
        if role["due"]:
            keys = tuf_roles.ROLES[name].keys
            state = Message(
                "{role} version {version}, valid until {until}; sign it with the {keys} keys soon", keys=keys, **facts
            )
        else:
            state = Message("{role} version {version}, valid until {until}", **facts)
        command_line.say(state)
    if "root" in report:
        command_line.say("give the members {file}", file=report["root"])
        told = Message("SHA-256 {sha256}: tell it to them by another channel", sha256=report["root_sha256"])
        command_line.say(told)
    command_line.say("publish the folder {folder}", folder=report["repository"])
