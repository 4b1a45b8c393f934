"""The inventory of a fleet, `fleet.yaml`: its nodes and its dispatchers."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, ValidationFault, load

Words = tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...]
"""A command or a prefix for commands, as a list of words. On this machine, it is not passed to a shell."""
APT: Final = ("apt-get", "install", "-y", "--no-remove", "-o", "Dpkg::Options::=--force-confold", "idtone")
"""Command that installs packages with apt. It keeps the operator's settings without asking, because dpkg could not ask
without a terminal."""
_SIZE_LIMIT: Final = 1024 * 1024
_REMOTE_SHELL: Final = "ssh"
"""Program that, used as a prefix, joins the words with spaces and passes them to a shell on the other machine."""


class DispatcherEntry(Model):
    """A Kamailio server whose dispatcher module distributes calls to the nodes."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    run: Annotated[Words, Field(min_length=1)]
    """Command that calls the dispatcher's remote procedures: `[ssh, sip-1, kamcmd]`."""
    group: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    """The dispatcher set whose destinations are the nodes."""


class NodeEntry(Model):
    """One of the fleet's PBXs, as described in the inventory."""

    node: Annotated[str, Field(min_length=1, max_length=200)]
    """The node's name in the evidence (`node` in its settings)."""
    run: Words = ()
    """Prefix for commands, for example `[ssh, root@pbx-1]`; empty for this machine."""
    address: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """The node's destination in the dispatchers' lists, for example `sip:192.0.2.11:5060`."""
    upgrade: Annotated[Words, Field(min_length=1)] = APT
    reload: Annotated[Words, Field(min_length=1)] = ("systemctl", "reload", "idtone")
    idtone: Annotated[Words, Field(min_length=1)] = ("idtone",)
    asterisk: Annotated[Words, Field(min_length=1)] = ("asterisk",)
    asterisk_etc: Path = Path("/etc/asterisk")
    """The folder that contains the hook."""
    other_calls: bool = False
    """True if the node also gets calls that bypass the dispatchers, for example from its own phones."""

    def command(self, words: Sequence[str]) -> tuple[str, ...]:
        """Prefix a command so that it runs on the node."""
        return with_prefix(self.run, words)


class Inventory(Model):
    """The nodes, in the order in which they are upgraded, and the dispatchers in front of them."""

    nodes: tuple[NodeEntry, ...]
    dispatchers: tuple[DispatcherEntry, ...] = ()


def with_prefix(prefix: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """Prefix a command with the words that run it on another machine.

    After ssh, the words are quoted, because a shell on the other machine reads them.
    """
    over_ssh = bool(prefix) and Path(prefix[0]).name == _REMOTE_SHELL
    return (*prefix, *(map(shlex.quote, words) if over_ssh else words))


def read_inventory(path: Path) -> Inventory:
    """Load a fleet's inventory.

    Raises DocumentError with file, line and field.
    """
    return load(path, Inventory, _faults, size_limit=_SIZE_LIMIT)


def _faults(inventory: Inventory) -> Iterator[ValidationFault]:
    if not inventory.nodes:
        yield ValidationFault(("nodes",), Message("has too few entries"), Message("Write at least 1"))
    names = Counter(node.node for node in inventory.nodes)
    addresses = Counter(node.address for node in inventory.nodes if node.address)
    for number, node in enumerate(inventory.nodes):
        if names[node.node] > 1:
            yield ValidationFault(
                ("nodes", number, "node"), Message("is the name of two nodes"), Message("Write each node once")
            )
        if node.address and addresses[node.address] > 1:
            yield ValidationFault(
                ("nodes", number, "address"),
                Message("is the address of two nodes"),
                Message("Write each node's own destination, as it stands in the dispatchers' lists"),
            )
        if inventory.dispatchers and node.address is None:
            yield ValidationFault(
                ("nodes", number, "address"),
                Message("is missing, and there are dispatchers"),
                Message("Write the node's destination as it stands in their lists, like sip:192.0.2.11:5060"),
            )
    dispatchers = Counter(each.name for each in inventory.dispatchers)
    for number, each in enumerate(inventory.dispatchers):
        if dispatchers[each.name] > 1:
            yield ValidationFault(
                ("dispatchers", number, "name"),
                Message("is the name of two dispatchers"),
                Message("Write each dispatcher once"),
            )
