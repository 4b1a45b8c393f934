"""`idtone restore` asks a real witness and a real replica for the last signed head."""

import asyncio
import shutil
import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.replication.own_replica import own_replica
from idtone.ledger.replication.replica_connection import ReplicaConnection
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server
from idtone.ledger.witness.cosigning import Cosigning
from idtone.operations.backup import known_heads
from lab.ledger.witness.witness_server import NAME, running_witness_in_thread
from lab.nightly_tests import rest_at_night
from lab.operations.backed_up_node import BackedUpNode
from lab.postgresql import change_url
from lab.terminal import Terminal

terminal = Terminal()
REPLICA = "PostgreSQL"


@pytest.fixture
def known(tmp_path: Path, server: Server) -> Iterator[BackedUpNode]:
    """A node with a replica and a witness."""
    node = BackedUpNode.made(tmp_path / "node")
    key = KeyRing.of(node.settings.ledger, node.settings.node).signer.key
    (node.folder / "password").write_text(server.password or "")
    with running_witness_in_thread(tmp_path, key) as witness:
        set_ledger(
            node,
            url=server.url,
            spool=f"{node.folder}/ledger.sqlite3",
            password_file=f"{node.folder}/password",
            witnesses=[witness],
        )
        yield node


def set_ledger(node: BackedUpNode, **settings: object) -> None:
    folder = node.folder / "idtone.d"
    folder.mkdir(exist_ok=True)
    (folder / f"{len(list(folder.iterdir()))}.yaml").write_text(yaml.safe_dump({"ledger": settings}))
    node.__dict__.pop("settings", None)


def replicate(node: BackedUpNode) -> None:
    connection = ReplicaConnection(node.settings.ledger, node.settings.node)
    try:
        while connection.replicate().behind:
            pass
    finally:
        connection.close()


async def cosign(node: BackedUpNode) -> None:
    settings = node.settings
    with node.writer() as writer:
        asking = Cosigning(writer, KeyRing.of(settings.ledger, settings.node), settings.ledger.witnesses, 60)
        async with aiohttp.ClientSession() as session:
            await asking.ask(session)


def sign(node: BackedUpNode, *newest: str, after: int = 0) -> None:
    """Sign one more call for each source of heads.

    The call is the last call that the source knows.
    """
    number = count(after + 1)
    for name in newest:
        node.sign(f"c-{next(number)}")
        if name == NAME:
            asyncio.run(cosign(node))
        elif name == REPLICA:
            replicate(node)
        else:
            terminal.json("backup", "-c", node.config)


def restored(node: BackedUpNode, *options: object) -> tuple[BackedUpNode, dict[str, Any]]:
    """The node, restored on another machine, with the command's report.

    Only the archives of the old machine remain.
    """
    away = node.folder.rename(node.folder.with_name("away"))
    words = ["restore", away / "backups", "-i", away / "secret", "--into", node.folder, *options]
    return BackedUpNode(node.folder), terminal.json(*words)


def continued(node: BackedUpNode) -> tuple[str, int]:
    """Name and size of the old tree, from the first leaf of the present ledger."""
    node.sign("c-new")
    assert node.faults() == []
    with LedgerReader.open(node.settings.ledger.own_url()) as reader:
        leaf = reader.continuation()
    assert leaf is not None
    return leaf.details["origin"], leaf.details["leaves"]


@rest_at_night("order", [("archive", REPLICA, NAME), ("archive", NAME, REPLICA), (NAME, REPLICA, "archive")])
def test_the_newest_head_comes_from_where_it_is_newest(known: BackedUpNode, order: tuple[str, ...]) -> None:
    sign(known, *order)
    new, told = restored(known)
    assert (told["leaves"], told["signed_leaves"]) == (order.index("archive") + 1, 3)
    asked = {each["source"]: (each["leaves"], each["trouble"]) for each in told["asked"]}
    assert asked.items() >= {NAME: (order.index(NAME) + 1, ""), REPLICA: (order.index(REPLICA) + 1, "")}.items()
    assert continued(new) == ("pbx-1/idtone", 3)
    replicate(new)
    settings = new.settings
    replica = own_replica(Server.of(settings.ledger), settings.ledger, settings.node)
    assert replica is not None
    assert (replica.behind, replica.lost_leaves) == (0, 3 - (order.index(REPLICA) + 1))


@pytest.mark.nightly
def test_a_ledger_that_was_copied_by_other_means_asks_too(known: BackedUpNode) -> None:
    node = known
    sign(node, "archive", NAME)
    shutil.copytree(node.folder, node.folder.with_name("kept"))
    sign(node, "archive", "archive", REPLICA, after=2)
    shutil.rmtree(node.folder)
    node.folder.with_name("kept").rename(node.folder)
    told = terminal.json("restore", "--here", "-c", node.config)
    assert (told["leaves"], told["signed_leaves"]) == (2, 5)
    assert continued(node) == ("pbx-1/idtone", 5)


@pytest.fixture
def mute() -> Iterator[int]:
    """Port of a listener that accepts connections but does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@rest_at_night(
    ("away", "trouble"),
    [
        ("witness down", "Cannot connect"),
        ("witness mute", "did not answer in time"),
        ("witness damaged", "it answered 500"),
        ("replica down", "see that PostgreSQL runs"),
    ],
)
def test_who_does_not_answer_is_named_and_nothing_is_lost(
    known: BackedUpNode, tmp_path: Path, mute: int, away: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other source is queried too, and the content of the archives is restored."""
    if away == "witness mute":
        monkeypatch.setattr(known_heads, "ANSWER_WITHIN_S", 0.5)
    ledger, lost, other = known.settings.ledger, NAME, REPLICA
    if away == "replica down":
        lost, other = other, lost
    sign(known, lost, other)
    key = ledger.witnesses[0].split()[1]
    match away:
        case "witness down":
            set_ledger(known, witnesses=[f"http://127.0.0.1:1 {key}"])
        case "witness mute":
            set_ledger(known, witnesses=[f"http://127.0.0.1:{mute} {key}"])
        case "witness damaged":
            [kept] = (tmp_path / "witness").glob("*.checkpoint")
            kept.write_text("nothing")
        case _:
            set_ledger(known, url=change_url(ledger.url, port=1))
    terminal.json("backup", "-c", known.config)
    known.sign("c-3")
    if other == REPLICA:
        replicate(known)
    else:
        asyncio.run(cosign(known))
    new, told = restored(known)
    asked = {each["source"]: (each["leaves"], each["trouble"]) for each in told["asked"]}
    assert asked[other] == (3, "")
    assert asked[lost][0] == 0
    assert trouble in asked[lost][1]
    assert new.calls(f"sqlite:///{told['restored_ledger']}") == {"c-1", "c-2"}
    assert continued(new) == ("pbx-1/idtone", 3)
