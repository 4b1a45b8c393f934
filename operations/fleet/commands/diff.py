"""`idtone-fleet diff`: shows how the settings of nodes, or of two files, differ."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone.core.errors import UsageError
from idtone.core.settings.settings import Settings, SharedSettings, load_settings
from idtone.core.settings.shared_settings import FORMAT, differing_settings, read_shared
from idtone.core.signed_notes import NOTE_LIMIT, VerifierKey
from idtone.core.terminal import command_line
from idtone.core.translation import Message, translated
from idtone.core.yaml_documents import load, read_text

from ..node_states import Node, fleet_of
from ..settings_difference import difference_rows
from .find_postgresql import reports_reader

FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="A signed file, or a settings file; without one, the nodes are compared."),
]
OtherArgument = Annotated[
    Path | None, typer.Argument(metavar="OTHER", help="The file to compare it with (default: fleet.settings).")
]


def diff(
    file: FileArgument = None,
    other: OtherArgument = None,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show how the settings of nodes, or of two files, differ. Exit 1: they differ.

    Without a file, the command shows which edition of the fleet's settings each node uses and which keys it sets
    differently, as the nodes report to PostgreSQL (`ledger.url`). Keys that a node sets differently do not change the
    exit code.

    Signatures are verified with `fleet.trust`. Secrets and telephone numbers are not shown.
    """
    if file is None:
        _diff_nodes(config, as_json)
    else:
        _diff_files(file, other, load_settings(config), as_json)


# -- nodes ----------------------------------------------------------------------------------------------------------


def _diff_nodes(config: Path | None, as_json: bool) -> None:
    with reports_reader(config) as reader:
        fleet = fleet_of(reader.read())
    for trouble in fleet.unreadable:
        print(translated(trouble), file=sys.stderr)
    if as_json:
        command_line.print_json([_report(node) for node in fleet.nodes])
    else:
        columns = (Message("node"), Message("state"), Message("version"), "SHA-256", Message("set otherwise"))
        command_line.Rows(columns).print(_rows(fleet.nodes))
    if not _are_same(fleet.nodes):
        command_line.exit_negative()


def _are_same(nodes: Sequence[Node]) -> bool:
    """True if the editions of all nodes are known and equal."""
    return len(set(map(_edition_of, nodes))) <= 1 and all(node.state for node in nodes)


def _edition_of(node: Node) -> tuple[int, str]:
    """Version and SHA-256 of the fleet settings that a node uses.

    (0, "") if the node has none or they are unknown.
    """
    said = node.state and node.state.settings
    return (said.version, said.sha256) if said else (0, "")


def _report(node: Node) -> dict[str, Any]:
    said = node.state and node.state.settings
    return {
        "node": node.name, "condition": node.condition.name.lower().replace("_", "-"), "known": node.state is not None,
        "version": said and said.version, "sha256": said and said.sha256,
        "overrides": list(said.overrides) if said else [],
    }  # fmt: skip


def _rows(nodes: Sequence[Node]) -> Iterator[tuple[str, ...]]:
    newest = max(map(_edition_of, nodes), default=(0, ""))
    for node in nodes:
        said, condition = node.state and node.state.settings, translated(node.condition)
        if said:
            is_newest = (said.version, said.sha256) == newest
            other = Message("{version}, not {newest}", version=said.version, newest=newest[0])
            version = str(said.version) if is_newest else translated(other)
            yield node.name, condition, version, said.sha256[:8], ", ".join(said.overrides)
        elif node.state:
            yield node.name, condition, translated("only settings of its own"), "", ""
        else:
            yield node.name, condition, translated("not known"), "", ""


# -- files ----------------------------------------------------------------------------------------------------------


def _diff_files(file: Path, other: Path | None, settings: Settings, as_json: bool) -> None:
    other = other or settings.fleet.settings
    if other is None:
        raise UsageError("name the file to compare it with; fleet.settings is not set here")
    trust = settings.fleet.trust
    keys = [VerifierKey.parse(trust)] if trust else []
    editions = [_edition(path, keys) for path in (file, other)]
    if not keys and any(shared for shared, _ in editions):
        print(translated("signatures are not verified: fleet.trust is not set here"), file=sys.stderr)
    found = differing_settings(editions[0][1], editions[1][1])
    if as_json:
        command_line.print_json(
            {
                "files": [_about(path, shared) for path, (shared, _) in zip((file, other), editions, strict=True)],
                "differences": {name: list(values) for name, values in sorted(found.items())},
            }
        )
    elif found:
        names = [_title(path, shared) for path, (shared, _) in zip((file, other), editions, strict=True)]
        command_line.Rows((Message("key"), *names)).print(difference_rows(found))
    else:
        command_line.say("all keys have the same values")
    if found:
        command_line.exit_negative()


def _edition(path: Path, keys: list[VerifierKey]) -> tuple[SharedSettings | None, Settings]:
    """A signed file's edition, or None for an unsigned file, with the settings in it."""
    if read_text(path, size_limit=NOTE_LIMIT).startswith(FORMAT.partition("/")[0]):
        shared = read_shared(path, *keys)
        return shared, shared.settings
    return None, load(path, Settings)


def _about(path: Path, shared: SharedSettings | None) -> dict[str, Any]:
    return {
        "file": str(path),
        "version": shared and shared.version,
        "sha256": shared and shared.sha256,
        "signed": shared and shared.signed.isoformat(),
    }


def _title(path: Path, shared: SharedSettings | None) -> str:
    return Message("{path}, version {version}", path=path, version=shared.version) if shared else str(path)
