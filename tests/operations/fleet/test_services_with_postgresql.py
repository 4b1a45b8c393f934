"""Real services that share a PostgreSQL and the association's signed registry, without Asterisk."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.store.postgresql import Server
from idtone.operations.fleet.findings import findings
from idtone.operations.fleet.node_states import Condition, Fleet, fleet_of
from idtone.registry.trust.tuf_roles import Keys
from lab.asterisk import FLEET, IDTONE
from lab.ledger.sample_evidence import wait_until
from lab.postgresql import PostgreSQL
from lab.registry.trust.association import STOPPED, Association
from lab.registry.trust.begun_association import association, begun, certificate
from lab.registry.trust.publication_server import serve_https

__all__ = ["association", "begun", "certificate"]
NAMES: Final = ("osaka", "tokyo")
WITHIN: Final = timedelta(seconds=2)
"""Longest time from the publication of a suspension until each node uses it."""


def settings(folder: Path, name: str, server: Server, source: str, trust: Path) -> Path:
    own = folder / name
    own.mkdir()
    for file, secret in (("ari", "secret"), ("postgresql", str(server.password))):
        (own / file).write_text(secret)
        (own / file).chmod(0o600)
    path = own / "idtone.yaml"
    path.write_text(
        f"node: {name}\n"
        f"ari: {{url: 'http://127.0.0.1:9/ari', user: idtone, password_file: {own}/ari}}\n"
        f"sounds: {{directory: {own}/sounds}}\n"
        f"registry: {{source: '{source}', trust: {trust}, cache: {own}/registry}}\n"
        f"ledger: {{url: '{server.url}', password_file: {own}/postgresql, spool: {own}/ledger/ledger.sqlite3,"
        f" key_file: {own}/ledger/ledger.key}}\n"
    )
    return path


def started(path: Path, environment: dict[str, str], *options: str) -> subprocess.Popen[bytes]:
    with path.with_name("log").open("ab") as log:
        command = [IDTONE, "serve", "-c", path, *options]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


@contextmanager
def serving(paths: list[Path], environment: dict[str, str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    try:
        running += [started(path, environment) for path in paths]
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.mark.nightly
def test_a_suspension_reaches_each_node_and_a_node_that_ends_is_missed(
    association: Association, certificate: Path, postgresql: PostgreSQL, server: Server, tmp_path: Path
) -> None:
    environment = os.environ | {"SSL_CERT_FILE": str(certificate)}
    association.publish()
    with serve_https(association.repository, certificate) as address, NodeReportsReader(server) as reader:
        paths = [settings(tmp_path, name, server, address, association.root()) for name in NAMES]
        with serving(paths, environment) as running:

            def until(*expected: Condition, hand_overs: int = 0) -> Fleet:
                """Wait until the nodes are in the given conditions, and return the fleet.

                The first node has then had `hand_overs` hand-overs.
                """
                found: list[Fleet] = []

                def is_so() -> bool:
                    found.append(fleet_of(reader.read()))
                    nodes = found[-1].nodes
                    first = nodes[0].state if nodes else None
                    is_over = first is not None and first.instance.hand_overs == hand_overs
                    return is_over and [node.condition for node in nodes] == [*expected]

                wait_until(is_so, 60)
                return found[-1]

            before = until(Condition.WITHOUT_ASTERISK, Condition.WITHOUT_ASTERISK)
            assert [(each.node, each.rule) for each in findings(before)] == [(name, "asterisk") for name in NAMES]
            assert [state.registry.suspensions_in_force for _, state in before.present] == [0, 0]

            running.append(started(paths[0], environment, "--take-over"))
            assert running.pop(0).wait(60) == 0
            running.reverse()
            until(Condition.WITHOUT_ASTERISK, Condition.WITHOUT_ASTERISK, hand_overs=1)

            association.write(suspensions=STOPPED)
            began = datetime.now(UTC)
            association.publish(association.signers(Keys.DUTY))
            options = ["--suspensions", sha256(STOPPED.encode()).hexdigest(), "--within", "30", "--json"]
            command = [FLEET, "wait", "-c", str(paths[0]), *options]
            waited = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            confirmed = json.loads(waited.stdout)["confirmed"]
            taken = {each["node"]: datetime.fromisoformat(each["taken"]) - began for each in confirmed}
            print(f"\npublished → in use: {', '.join(f'{node} {took}' for node, took in taken.items())}")
            assert [*taken] == [*NAMES]
            assert max(taken.values()) < WITHIN
            after = until(Condition.WITHOUT_ASTERISK, Condition.WITHOUT_ASTERISK, hand_overs=1)
            assert {each.rule for each in findings(after)} == {"asterisk"}
            for node, state in after.present:
                assert state.registry.suspensions_in_force == 1
                assert "81312345677" in (tmp_path / node.name / "sounds" / "fallback.conf").read_text()

            running[1].terminate()
            running[1].wait(60)
            until(Condition.WITHOUT_ASTERISK, Condition.STOPPED, hand_overs=1)
            running[0].kill()
            until(Condition.SILENT, Condition.STOPPED, hand_overs=1)
