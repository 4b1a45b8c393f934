"""Processor time and memory of verifiers for the worst inputs, each in a separate process."""

# ruff: noqa: S608 - the statements are what is tried

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from lab.asterisk import EVIDENCE, IDTONE
from lab.ledger.sample_evidence import LOG, evidence, url_of
from lab.ledger.sample_ledger import write, write_keys
from lab.ledger.vectors.plans import Plan, canonical
from lab.ledger.vectors.tree_table import zipped
from lab.ledger.vectors.verifiers import PYTHON, ROOT
from lab.node_js import find_or_get_node

SECONDS: Final = 60
MIB: Final = 2048
"""Memory limit in MiB, four times the limit of an unpacked pack."""


class Cost(NamedTuple):
    input: str
    verifier: str
    exit_code: int
    seconds: float
    mib: int

    @property
    def is_over(self) -> bool:
        return self.seconds > SECONDS or self.mib > MIB or self.exit_code not in (1, 2)


def hostile_packs() -> Iterator[tuple[str, bytes]]:
    """Names and contents of hostile ZIP files.

    Each file is made when the iterator reaches it, because the files are large.
    """
    zeros = bytes(511 * 2**20)
    small = Plan(cosigned=[]).files()
    yield "511 MiB of zeros", zipped({**small, "report.html": zeros}, 9)
    yield "511 MiB that are said to be 9", zipped({**small, "report.html": zeros}, 9, local_size=9, listed_size=9)
    del zeros
    yield "a manifest of 200 MB", zipped({"manifest.json": canonical({"note": "x" * 200_000_000})})
    yield "a manifest of 5 million brackets", zipped({"manifest.json": b"[" * 5_000_000})
    yield (
        "a manifest of a million records",
        zipped(
            {
                "manifest.json": canonical(
                    {"records": [{"call": str(n), "key": None, "leaves": [n]} for n in range(10**6)]}
                )
            }
        ),
    )
    yield "a number of a million digits", zipped({"manifest.json": b'{"a":' + b"9" * 10**6 + b"}"})
    yield "60,000 files", zipped({f"profiles/a{number}.json": b"{}" for number in range(60_000)})
    yield "a note of 50 MB", zipped({**small, "manifest.note": b"x\n" * 25_000_000})


def rows(file: Path) -> Iterator[str]:
    """Change the ledger's file in one hostile way after another; yields the description of each."""
    whole = file.read_bytes()
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
    for what, statement in {
        "a view without an end in the place of the steps": f"ALTER TABLE steps RENAME TO others; CREATE VIEW steps AS "
        f"{endless} SELECT x AS id, 'n' AS node, 'c' AS call_id, 'x' AS kind, 1 AS at, '' AS details, x AS leaf FROM n",
        "100,000 leaves of one call": f"INSERT INTO steps {endless} SELECT 1000 + x, node, call_id, 'ended', at, "
        "details, leaf + x FROM n, (SELECT * FROM steps WHERE leaf >= 0 ORDER BY leaf DESC LIMIT 1) LIMIT 100000",
        "a million calls in progress": f"INSERT INTO steps {endless} SELECT 1000 + x, 'pbx-1', 'c' || x, 'decided', 1, "
        "'{}', NULL FROM n LIMIT 1000000",
        "a step with the id 2^62": "UPDATE steps SET id = 4611686018427387904 WHERE id = 9",
        "a step of 400 MB": "UPDATE steps SET details = '{\"a\":\"' || hex(zeroblob(200000000)) || '\"}' WHERE id = 9",
        "a step of 5 million brackets": "UPDATE steps SET details = replace(hex(zeroblob(2500000)), '0', '[') "
        "WHERE id = 9",
        "a million search entries": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000) "
        "INSERT OR IGNORE INTO sought SELECT x, 9 FROM n",
        "a MAC of 100 MB": "UPDATE macs SET macs = zeroblob(100000000)",
        "a time of 2^63 - 1": "UPDATE steps SET at = 9223372036854775807 WHERE id = 9",
    }.items():
        file.write_bytes(whole)
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.executescript(statement)
        yield what
    file.write_bytes(whole)


def costs(folder: Path) -> Iterator[Cost]:
    file = folder / "worst" / "ledger.sqlite3"
    write(url_of(file), evidence(8))
    write_keys(file.parent)
    ours = {
        "IDTONE_LEDGER_URL": url_of(file),
        "IDTONE_LEDGER_KEY_FILE": str(file.with_name("key")),
        "IDTONE_NODE": "pbx-1",
    }
    for what in rows(file):
        yield _cost(what, "idtone ledger verify", [str(IDTONE), "ledger", "verify"], ours)
    pack = folder / "worst.zip"
    for what, octets in hostile_packs():
        pack.write_bytes(octets)
        keys = ["--log-key", str(LOG)]
        yield _cost(what, "idtone-evidence verify pack", [str(EVIDENCE), "verify", "pack", str(pack), *keys])
        yield _cost(what, "verify_pack.py", [sys.executable, str(PYTHON), str(pack), *keys])
        second = ROOT / "tools" / "second-opinion" / "verify-pack.mjs"
        yield _cost(what, "verify-pack.mjs", [*find_or_get_node(), str(second), str(pack), *keys])


_RUN: Final = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024]))
"""


def _cost(what: str, verifier: str, command: Sequence[str], more: dict[str, str] | None = None) -> Cost:
    """The cost of a command. An intermediate process runs it, so that its figures are of this command alone."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *command], env={**os.environ, **(more or {})}, capture_output=True, check=True
    )
    return Cost(what, verifier, *json.loads(done.stdout))
