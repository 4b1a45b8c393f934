"""The commands `idtone registry check` and `idtone registry show`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from idtone.core.errors import DocumentError, UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_number
from idtone.core.translation import Message, joined, translated
from idtone.core.yaml_documents import read_text

from ..local_registry import LocalRegistry, from_folder, read_local_registry
from ..member_application import parse_application
from ..model import RegistryDocument
from ..number_notation import read_span
from ..parsers import parse_never_originates, parse_suspensions
from ..registry_report import (
    NumberReport,
    counts,
    link_words,
    member_lines,
    member_report,
    number_report,
    porting_words,
    registry_lines,
    registry_report,
    suspension_lines,
    suspension_reports,
)
from ..sources import parse_document, read_document
from ..trust import tuf_roles
from .check_progress import checking

if TYPE_CHECKING:
    from rich.tree import Tree

FileArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="Registry file (default: registry.source of the settings).")
]


def check(
    file: FileArgument = None, config: command_line.ConfigOption = None, as_json: command_line.JsonOption = False
) -> None:
    """Find all faults of a registry, a suspensions.yaml or an application, each with its place and remedy.

    For the authority's folder, all files of the registry are checked. Exit 0: good. 1: there are faults. 2: a file
    cannot be checked (missing, too large, not UTF-8 text).
    """
    path = file or load_settings(config).registry.file()
    texts = [(each, read_text(each)) for each in _files(path)]
    try:
        with checking():
            totals = {name: total for each, text in texts for name, total in _totals(each, text).items()}
    except DocumentError as error:
        if as_json:
            command_line.print_json({"file": str(path), "good": False, "faults": [asdict(f) for f in error.faults]})
        else:
            print(*error.faults, sep="\n")
            print(f"{path}: {translated(command_line.count_with_unit(len(error.faults), 'fault'))}")
        command_line.exit_negative()
    if as_json:
        command_line.print_json({"file": str(path), "good": True, "faults": [], **totals})
    else:
        command_line.say("{path}: good", path=path)
        for name, total in totals.items():
            print(f"  {name:<11} {total:,}")


def _files(path: Path) -> list[Path]:
    """The file itself, or the registry's files in the association's folder."""
    if not path.is_dir():
        return [path]
    files = tuf_roles.DELEGATED.values()
    return [path / file for file in files if file not in tuf_roles.OPTIONAL or (path / file).exists()]


class _Kind(Enum):
    REGISTRY = auto()
    SUSPENSIONS = auto()
    NEVER_ORIGINATES = auto()
    APPLICATION = auto()


def _kind(text: str) -> _Kind:
    """A document's kind according to its top-level keys; a registry if no key is known."""
    found = set(_TOP.findall(text))
    return next((kind for kind, keys in _KEYS.items() if keys & found), _Kind.REGISTRY)


_KEYS: Final = {
    _Kind.REGISTRY: {"registry", "members", "tones"},
    _Kind.APPLICATION: {"application"},
    _Kind.SUSPENSIONS: {"suspensions"},
    _Kind.NEVER_ORIGINATES: {"never_originates"},
}
_TOP: Final = re.compile(r"^([a-z_]+) *:", re.MULTILINE)


def _totals(path: Path, text: str) -> Mapping[str, object]:
    """Counts to report for a document. Raises DocumentError with every fault."""
    match _kind(text):
        case _Kind.SUSPENSIONS:
            return {"suspensions": len(parse_suspensions(text, str(path)).suspensions)}
        case _Kind.NEVER_ORIGINATES:
            return {"entries": len(parse_never_originates(text, str(path)).never_originates)}
        case _Kind.APPLICATION:
            asked = parse_application(text, str(path))
            return {"licences": len(asked.licences), "numbers": sum(len(read_span(entry)) for entry in asked.numbers)}
        case _Kind.REGISTRY:
            return counts(parse_document(text, str(path)))


def show(
    file: FileArgument = None,
    member: Annotated[str | None, typer.Argument(metavar="MEMBER", help="Only the member with this id.")] = None,
    number: Annotated[
        bool,
        typer.Option(
            "--number", help="Ask for a number, and show which member is responsible for it, and through which chain."
        ),
    ] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show a registry: its members, the state of their licences, and the suspensions (last four digits only).

    FILE may also be the authority's folder, or a suspensions.yaml, which shows only the suspensions. With --number,
    exit 1: no member holds the number.
    """
    now = datetime.now(UTC)
    if number and member is not None:
        raise UsageError("MEMBER and --number cannot go together; choose one")
    text = read_text(file) if file and not file.is_dir() else ""
    if file and _kind(text) is _Kind.APPLICATION:
        raise UsageError("{file} is an application, not a registry; check it with `idtone registry check`", file=file)
    if file and text and _kind(text) is _Kind.SUSPENSIONS:
        with checking():
            stopped = suspension_reports(parse_suspensions(text, str(file)).suspensions, now)
        _print(stopped, suspension_lines(stopped), as_json)
        return
    with checking():
        if file is None:
            seen = read_local_registry(load_settings(config).registry)
        else:
            seen = from_folder(file) if file.is_dir() else LocalRegistry(str(file), read_document(file))
    document = seen.document
    if number:
        asked = ask_number()
        with checking():
            found = number_report(document, asked, now, load_settings(config).policy.chain_check)
        if as_json:
            command_line.print_json(found)
        elif found["holder"] is None:
            command_line.say("no member holds the number")
        else:
            command_line.screen().print(_tree(found, document))
            if found["porting"]:
                command_line.say("porting: {porting}", porting=porting_words(found["porting"]))
        if found["holder"] is None:
            command_line.exit_negative()
        return
    if member is None:
        with checking():
            report = registry_report(document, now, seen.index())
        _print(report, registry_lines(report), as_json)
        return
    chosen = next((entry for entry in document.members if entry.id == member), None)
    if chosen is None:
        raise UsageError("the registry has no member {member!r}. Without MEMBER this command lists them", member=member)
    one = member_report(chosen, now)
    _print(one, member_lines(one), as_json)


def _tree(found: NumberReport, document: RegistryDocument) -> Tree:
    """Tree that shows a number's wholesale chain, from its holder down to the member in charge."""
    from rich.text import Text
    from rich.tree import Tree

    names = {member.id: f"{member.id}  {member.name.ja} / {member.name.en}" for member in document.members}

    def label(member: str, words: str) -> Text:
        in_charge = Message(", in charge") if member == found["member"] else ""
        return Text(translated(joined("", (f"{names[member]}: ", words, in_charge))))

    assert found["holder"], "a member holds the number"
    tree = branch = Tree(
        label(found["holder"], Message("holds {numbers}", numbers=found["numbers"] or found["number"]))
    )
    for link in found["links"]:
        branch = branch.add(label(link["reseller"], link_words(link)))
    return tree


def _print(report: Any, lines: Iterable[str], as_json: bool) -> None:
    if as_json:
        command_line.print_json(report)
    else:
        print(*map(translated, lines), sep="\n")
