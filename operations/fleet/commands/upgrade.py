"""`idtone-fleet upgrade`: runs a rolling upgrade and shows its progress."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_confirmation
from idtone.core.translation import Message, translated

from ..command_runner import SubprocessRunner
from ..inventory import Inventory, NodeEntry, read_inventory
from ..rolling_upgrade import NodeFaultError, RollingUpgrade
from ..upgrade_journal import UpgradeJournal, open_journal
from ..upgrade_plan import plan_steps, put_back_commands
from ..upgrade_rules import MEANING, Step

if TYPE_CHECKING:
    from rich.status import Status

PATIENCE_S: Final = 60
EMPTY_PATIENCE_S: Final = 3600

NodesOption = Annotated[
    Path, typer.Option("--nodes", metavar="FILE", help="The inventory: nodes, dispatchers, how to reach them.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", metavar="NODE", help="Only this node. May be repeated.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan with its commands, and run none.")]
EmptyOption = Annotated[
    bool, typer.Option("--empty", help="Before upgrading a node, wait until it has no calls in progress.")
]
PatienceOption = Annotated[
    int | None,
    typer.Option(
        "--patience",
        metavar="SECONDS",
        min=1,
        help="How long to wait until no new calls come (default: 60; with --empty until there are none: 3600).",
    ),
]
JournalOption = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="The file that records each step (default: the inventory's name with .journal).",
    ),
]
AfreshOption = Annotated[
    bool, typer.Option("--afresh", help="Begin with the first node, even if an earlier upgrade stopped.")
]


def upgrade(
    nodes: NodesOption,
    only: OnlyOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRunOption = False,
    empty: EmptyOption = False,
    patience: PatienceOption = None,
    journal: JournalOption = None,
    afresh: AfreshOption = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """Upgrade the nodes one by one, without losing a call. Stop at the first fault.

    For each node: take it out of the dispatchers, wait until no new calls come, install the new version, hand over,
    export the hook if it differs, check, and put it back. Calls in progress continue.

    After a fault, the node stays out of the dispatchers, and the command explains how to continue or go back. The next
    run reads the journal and continues with this node. Exit 1: it has stopped at a fault.

    With --json and without --yes it only prints the plan.
    """
    inventory = read_inventory(nodes)
    chosen = _chosen(inventory, only, nodes)
    if dry_run or (as_json and not yes):
        _show_plan(inventory, chosen, as_json)
        return
    path = journal or nodes.with_name(f"{nodes.name}.journal")
    with open_journal(path, lambda: datetime.now(UTC)) as kept:
        left = [node for node in chosen if afresh or node.node not in kept.done]
        if not as_json:
            _show_plan(inventory, left, as_json=False)
            _show_earlier(kept, path, afresh)
        if not left:
            raise UsageError(
                "these nodes are done in the upgrade that {path} has; --afresh begins another one", path=path
            )
        if not yes and not ask_confirmation(Message("Upgrade these nodes?")):
            raise UsageError("nothing was done")
        kept.begin([node.node for node in chosen], afresh)
        _upgrade(inventory, left, kept, empty, patience or (EMPTY_PATIENCE_S if empty else PATIENCE_S), as_json)


def _chosen(inventory: Inventory, only: Sequence[str] | None, path: Path) -> list[NodeEntry]:
    known = [node.node for node in inventory.nodes]
    if unknown := [name for name in only or () if name not in known]:
        raise UsageError(
            "--only {name}: {path} has no such node; it has {known}", name=unknown[0], path=path, known=", ".join(known)
        )
    return [node for node in inventory.nodes if not only or node.node in only]


def _upgrade(
    inventory: Inventory, left: Sequence[NodeEntry], kept: UpgradeJournal, empty: bool, patience: int, as_json: bool
) -> None:
    out = Console(file=sys.stderr) if as_json else command_line.screen(highlight=False)
    progress = _Shown(out)
    rolling = RollingUpgrade(inventory, SubprocessRunner(), kept, progress, empty, float(patience))
    fault = None
    try:
        rolling.run(left)
    except NodeFaultError as error:
        fault = error
    finally:
        progress.close()
        if not kept.nodes - kept.done:
            kept.end()
        else:
            _show_way_on(inventory, left, kept, fault, out)
    if as_json:
        command_line.print_json(kept.entries)
    if fault:
        command_line.exit_negative()


def _show_way_on(
    inventory: Inventory, left: Sequence[NodeEntry], kept: UpgradeJournal, fault: NodeFaultError | None, out: Console
) -> None:
    """Print at which node and fault the upgrade stopped, and how to continue or go back."""
    node = next((node for node in left if node.node not in kept.done), None)
    if node is None:  # nodes of an earlier run with another --only are left
        return
    if fault:
        out.print(Text(translated("{node}: {fault}", node=node.node, fault=fault), "bold red"), soft_wrap=True)
        if fault.output:
            out.print(Text(fault.output), soft_wrap=True)
    out.print(Text(translated(_GO_ON)), soft_wrap=True)
    tried = {entry["step"] for entry in kept.entries if entry.get("node") == node.node}
    before = kept.before(node.node)
    if before and Step.INSTALL in tried:
        back = Message(
            "To go back on {node}: install version {version} again, export its hook, and run: {reload}",
            node=node.node,
            version=before.version,
            reload=shlex.join(node.command(node.reload)),
        )
        out.print(Text(translated(back)), soft_wrap=True)
    commands = put_back_commands(inventory, node)
    if commands and Step.DRAIN in tried:
        words = Message("{node} stays out of the dispatchers. To put it back by hand:", node=node.node)
        out.print(Text(translated(words)), soft_wrap=True)
        for command in commands:
            out.print(Text(f"  {shlex.join(command)}"), soft_wrap=True)


_GO_ON: Final = Message("To go on: correct it, then run the same command again. It begins with this node.")


def _show_plan(inventory: Inventory, nodes: Iterable[NodeEntry], as_json: bool) -> None:
    plan = [step for node in nodes for step in plan_steps(inventory, node)]
    if as_json:
        command_line.print_json([step.report() for step in plan])
        return
    out, shown = command_line.screen(highlight=False), ""
    for each in plan:
        if each.node != shown:
            out.print(Text(each.node, "bold"))
            shown = each.node
        out.print(Text(f"  {translated(MEANING[each.step])}"), soft_wrap=True)
        for words in each.commands:
            out.print(Text(f"    {shlex.join(words)}", "dim"), soft_wrap=True)
    out.print()


def _show_earlier(kept: UpgradeJournal, path: Path, afresh: bool) -> None:
    if kept.is_interrupted and not afresh:
        done = ", ".join(sorted(kept.done))
        words = Message("{path}: an earlier upgrade has stopped; done: {done}", path=path, done=done or "-")
        command_line.say(words)


class _Shown:
    """Shows an upgrade's progress: a line for each finished step, and one for the current step."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._status: Status | None = None
        self._title = ""
        self._begun_s = 0.0

    def begin(self, node: str, step: Step) -> None:
        self.close()
        self._title, self._begun_s = f"{node}: {translated(MEANING[step])}", time.monotonic()
        if self._out.is_terminal:
            self._status = self._out.status(Text(f"{self._title} …"))
            self._status.start()

    def waiting(self, words: str) -> None:
        if self._status:
            self._status.update(Text(f"{self._title} … {translated(words)}"))

    def end(self, node: str, step: Step, words: str) -> None:
        self.close()
        took_s = time.monotonic() - self._begun_s
        result = f" — {translated(words)}" if words else ""
        self._out.print(Text(f"{node}: {translated(MEANING[step])}{result} ({took_s:.1f} s)"), soft_wrap=True)

    def close(self) -> None:
        """Remove the line for the current step."""
        if self._status:
            self._status.stop()
            self._status = None
