"""Drills on a node's ledger: an old backup is restored, or the whole node is cloned.

Both are repaired by the steps in docs/how-to/keep-evidence.md and docs/how-to/several-nodes.md.
"""

import shutil
import time
from pathlib import Path
from typing import Final

from idtone.ledger.store.postgresql import schema_of
from lab.asterisk_installation import AsteriskInstallation
from lab.fleet import CLONE, DATABASE, READY_S, Fleet, Node, SeparateLedger, clone, copy_ledger
from lab.kamailio import NODES

from .drills import LONG_S, Drill, is_replicated

FORKED: Final = ("is not the beginning of", "steps of this node, and")
"""The log entry of a node whose ledger does not continue its replica."""


class RestoredLedgerDrill:
    """A drill in which a node's service starts with an old backup of its ledger.

    The ledger's last signed head is on another disk.
    """

    def __init__(self, folder: Path, place: int) -> None:
        self._folder, self._place = folder, place

    def drill(self) -> Drill:
        return Drill(
            "node restored from an old backup",
            self._strike,
            self._mend,
            is_replicated,
            away_s=15.0,
            prepare=self._back_up,
            noticed=self._is_noticed,
            splits=True,
        )

    def _node(self, fleet: Fleet) -> Node:
        return fleet.nodes[self._place]

    def _back_up(self, fleet: Fleet) -> None:
        self._backup = copy_ledger(self._node(fleet).service.ledger, self._folder / "backup")

    def _strike(self, fleet: Fleet) -> None:
        service = self._node(fleet).service
        service.stop()
        _move(service.ledger, self._folder / "newest")
        shutil.copy(self._backup, service.ledger)
        self._already = len(service.log())
        service.start(timeout_s=READY_S)

    def _is_noticed(self, fleet: Fleet) -> bool:
        said = self._node(fleet).service.log()[self._already :]
        return "this is an older copy" in said or any(words in said for words in FORKED)

    def _mend(self, fleet: Fleet) -> None:
        node = self._node(fleet)
        node.service.stop()
        _move(node.service.ledger, self._folder / "aside")
        fleet.apart.append(SeparateLedger(node.name, self._folder / "aside" / node.service.ledger.name))
        _move(self._folder / "newest" / node.service.ledger.name, node.service.ledger.parent)
        node.service.start(timeout_s=READY_S)


class ClonedNodeDrill:
    """A drill in which a copy of a node takes calls in addition to the original.

    The copy has the same name, keys and ledger.
    """

    def __init__(self, folder: Path, place: int, asterisk: AsteriskInstallation) -> None:
        self._folder, self._place, self._asterisk = folder, place, asterisk

    def drill(self) -> Drill:
        return Drill(
            "node cloned",
            self._strike,
            self._mend,
            is_replicated,
            away_s=15.0,
            noticed=self._is_noticed,
        )

    def _strike(self, fleet: Fleet) -> None:
        self._original = fleet.nodes[self._place]
        self._already = len(self._original.service.log())
        self._clone = clone(fleet, self._original, self._folder, self._asterisk)
        address = self._clone.asterisk.sip_address
        fleet.apart.append(SeparateLedger(CLONE, self._clone.service.ledger, address))
        for proxy in fleet.proxies:
            proxy.call("dispatcher.add", NODES, f"sip:{address[0]}:{address[1]}")

    def _is_noticed(self, fleet: Fleet) -> bool:
        said = self._original.service.log()[self._already :] + self._clone.service.log()
        return any(words in said for words in FORKED)

    def _mend(self, fleet: Fleet) -> None:
        """Take the clone out of the dispatchers, and stop it after its last call. If the replica came from the clone,
        make it again.
        """
        address = self._clone.asterisk.sip_address
        for proxy in fleet.proxies:
            proxy.set_state("dx", address)
        time.sleep(LONG_S + 2)
        self._clone.service.stop()
        self._clone.asterisk.stop()
        for proxy in fleet.proxies:
            proxy.call("dispatcher.remove", NODES, f"sip:{address[0]}:{address[1]}")
        if any(words in self._original.service.log()[self._already :] for words in FORKED):
            schema = schema_of(f"{self._original.name}/idtone")
            fleet.primary.execute(f"DROP SCHEMA {schema} CASCADE", DATABASE)


def _move(ledger: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in ledger.parent.glob(f"{ledger.name}*"):
        shutil.move(path, folder / path.name)
