"""Plans a rolling upgrade, command by command."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import kamailio_dispatcher
from .inventory import Inventory, NodeEntry, with_prefix
from .upgrade_rules import Step


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step in a node's upgrade, with the commands that it may run."""

    node: str
    step: Step
    commands: tuple[tuple[str, ...], ...]

    def report(self) -> dict[str, Any]:
        return {"node": self.node, "step": str(self.step), "commands": [list(words) for words in self.commands]}


def plan_steps(inventory: Inventory, node: NodeEntry) -> Iterator[PlannedStep]:
    status = node.command((*node.idtone, "status", "--json"))
    doctor = node.command((*node.idtone, "doctor", "--json"))
    out, back = [], []
    for dispatcher in inventory.dispatchers:
        assert node.address  # the inventory's rules
        listing = with_prefix(dispatcher.run, kamailio_dispatcher.LIST)
        out += [
            with_prefix(dispatcher.run, kamailio_dispatcher.take_out_procedure(dispatcher.group, node.address)),
            listing,
        ]
        back += [
            with_prefix(dispatcher.run, kamailio_dispatcher.put_back_procedure(dispatcher.group, node.address)),
            listing,
        ]
    commands = {
        Step.LOOK: (status, doctor, *out[1::2]),
        Step.DRAIN: tuple(out),
        Step.WAIT: (status,) if out else (),
        Step.INSTALL: (status, node.command(node.upgrade), node.command((*node.idtone, "--version"))),
        Step.HAND_OVER: (status, node.command(node.reload)),
        Step.HOOK: (
            doctor,
            node.command((*node.idtone, "dialplan", "export", str(node.asterisk_etc))),
            node.command((*node.asterisk, "-rx", "dialplan reload")),
        ),
        Step.CHECK: (status, doctor),
        Step.PUT_BACK: tuple(back),
    }
    for step in Step:
        yield PlannedStep(node.node, step, commands[step])


def put_back_commands(inventory: Inventory, node: NodeEntry) -> list[tuple[str, ...]]:
    """Commands with which a person can put a node back into the dispatchers."""
    return [
        with_prefix(dispatcher.run, kamailio_dispatcher.put_back_procedure(dispatcher.group, node.address or ""))
        for dispatcher in inventory.dispatchers
    ]
