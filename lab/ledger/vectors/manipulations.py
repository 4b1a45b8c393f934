"""Kinds of manipulations, and the verdict of each verifier.

Each manipulation is made twice. Before the signature, the holder of the log's key makes it: everything is signed,
sealed and cosigned again. After the signature, the original signatures are kept.
"""

# ruff: noqa: S608 - the statements are what is tried

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..verification.forged_steps import FORGERIES, forge
from . import bases, files_of, octets_of, vectors
from .ledger_files import LedgerFiles, NotRows, rows_of, without_day
from .pack_table import bad_leaves
from .plans import Plan, tree
from .verifiers import VERIFIERS, Vector

LEDGER: Final = "idtone ledger verify"
PACKS: Final[Mapping[str, str]] = {
    "idtone": "idtone-evidence verify pack",
    "verify_pack.py": "verify_pack.py",
    "verify-pack.mjs": "verify-pack.mjs",
}
SEALED: Final = ("manifest.json", "manifest.note")
TREE_ONLY: Final = frozenset({"leaf-steps-missing", "act-calls", "act-request", "log-ended"})
"""Rules that only a complete tree can break."""


_CLOSED: Final = "id = (SELECT min(id) FROM steps WHERE kind = 'connected')"
_ENDED: Final = "leaf = 2"
_OPEN: Final = "call_id = 'open'"
STATEMENTS: Final = (
    *(
        f"UPDATE steps SET {change} WHERE {where}"
        for where in (_CLOSED, _ENDED)
        for change in (
            "at = at + 1", "at = at - 3600000000", "at = at + 0.5", "at = 'x'", "kind = 'answered'", "kind = 'Ended'",
            "kind = CAST(kind AS BLOB)", "node = 'pbx-2'", "node = node || ' '", "call_id = 'x'",
            "call_id = upper(call_id)",
            "details = '{\"a\":1}'", "details = details || ' '", "details = CAST(details AS BLOB)", "details = 'null'",
            "id = 4611686018427387904", "id = -id", "leaf = 99", "leaf = -1",
        )
    ),
    *(f"DELETE FROM steps WHERE {where}" for where in (_CLOSED, _ENDED, "leaf IS NOT NULL", _OPEN)),
    *(
        f"INSERT INTO steps SELECT {number}, node, {call}, kind, at, details, {leaf} FROM steps WHERE {_ENDED}"
        for number in ("(SELECT max(id) + 1 FROM steps)", "-1")
        for call in ("call_id", "'x'")
        for leaf in ("NULL", "leaf", "99")
    ),
    f"UPDATE steps SET at = at + 1 WHERE {_OPEN}",
    f"UPDATE steps SET details = '{{}}' WHERE {_OPEN}",
    f"UPDATE steps SET kind = 'ended' WHERE {_OPEN}",
    "UPDATE hashes SET hash = zeroblob(32) WHERE place = 0",
    "UPDATE hashes SET hash = zeroblob(32) WHERE place = (SELECT max(place) FROM hashes)",
    "DELETE FROM hashes WHERE place = 1",
    "INSERT INTO hashes SELECT place + 1000, hash FROM hashes WHERE place = 0",
    "UPDATE meta SET value = substr(value, 1, length(value) - 9) || CASE substr(value, -9, 1) WHEN 'x' THEN 'y' "
    "ELSE 'x' END || substr(value, -8) WHERE key = 'checkpoint'",
    "UPDATE meta SET value = x'00' WHERE key = 'checkpoint'",
    "UPDATE meta SET value = '' WHERE key = 'checkpoint'",
    "DELETE FROM meta WHERE key = 'checkpoint'",
    "UPDATE meta SET value = '99' WHERE key = 'schema_version'",
    "DELETE FROM sought WHERE step = (SELECT min(step) FROM sought)",
    "UPDATE sought SET token = -1 - token",
    "INSERT INTO sought SELECT token - 1, step FROM sought LIMIT 1",
    "INSERT INTO sought SELECT token, 4611686018427387904 FROM sought LIMIT 1",
    "DELETE FROM in_progress",
    f"INSERT INTO in_progress SELECT call_id FROM steps WHERE {_ENDED}",
    "INSERT INTO in_progress VALUES ('nobody')",
    "DELETE FROM macs",
    "UPDATE macs SET last = last + 1000000",
    "CREATE INDEX other ON steps (at) WHERE call_id <> 'open'",
    "CREATE TRIGGER other AFTER INSERT ON steps BEGIN DELETE FROM sought; END",
    "CREATE VIEW other AS SELECT * FROM steps",
    "CREATE TABLE other (x)",
    "DROP INDEX ix_steps_at",
    "DROP TABLE sought",
)  # fmt: skip
"""Statements that someone with write access to the file can run."""


class Outcome(NamedTuple):
    """Result of one verifier.

    `found` is None if the manipulation does not exist for this verifier, because it cannot be in the verifier's input
    or does not change the input.
    """

    kind: str
    moment: str
    verifier: str
    found: bool | None


def ledger_outcomes(folder: Path) -> Iterator[Outcome]:
    """Yield the results for manipulated leaves in a ledger's file."""
    files = LedgerFiles(folder)
    good = [without_day(each) for each in tree()]
    rows = rows_of(good)
    assert files.faults(rows, good) == []
    for name, leaves in _bad_trees():
        try:
            bad = rows_of(leaves)
        except NotRows:
            for moment in ("before", "after"):
                yield Outcome(name, moment, LEDGER, None)
            continue
        yield Outcome(name, "before", LEDGER, bool(files.faults(bad, leaves)))
        yield Outcome(name, "after", LEDGER, bool(files.faults(bad, good, rows)) if bad != rows else None)


def _bad_trees() -> Iterator[tuple[str, list[bytes]]]:
    for each in vectors():
        if each["rule"] and "leaves" in each:
            yield f"tree: {each['name']}", [without_day(octets_of(leaf)) for leaf in each["leaves"]]
    for name, rule, plan in bad_leaves():
        # A ledger has no pack that its steps must precede, and it leaves out no steps.
        if rule != "leaf-time" and plan.leaves != tree():
            yield f"pack: {name}", [without_day(leaf) for leaf in plan.leaves]


def forged_outcomes(ledger: Path, verify: Callable[[], Sequence[str]]) -> Iterator[Outcome]:
    """Yield the results for forgeries by someone who can write the file `ledger` but has no key.

    The file also has a call in progress. `verify` returns its faults.
    """
    whole = ledger.read_bytes()
    for name, (forgery, _) in FORGERIES.items():
        ledger.write_bytes(whole)
        forge(ledger, forgery)
        yield Outcome(f"without a key: {name}", "after", LEDGER, bool(verify()))
    for statement in STATEMENTS:
        ledger.write_bytes(whole)
        with closing(sqlite3.connect(ledger)) as connection, connection:
            connection.execute(statement)
        yield Outcome(f"row: {statement}", "after", LEDGER, bool(verify()))
    ledger.write_bytes(whole)


def pack_outcomes() -> Iterator[Outcome]:
    """Yield the results for manipulated packs, ZIP files, and packs with all leaves of a tree."""
    known = bases()
    rows = [*_of_packs(known), *_of_trees()]
    for verifier, name in PACKS.items():
        told = VERIFIERS[verifier]([vector for *_, vector in rows if vector], known)
        answers = iter(told)
        for kind, moment, vector in rows:
            yield Outcome(kind, moment, name, bool(next(answers)) if vector else None)


def _of_packs(known: Mapping[str, Any]) -> Iterator[tuple[str, str, Vector | None]]:
    for each in vectors():
        if not each["rule"] or "leaves" in each:
            continue
        if "zip" in each:
            yield f"zip: {each['name']}", "after", each
            continue
        yield f"pack: {each['name']}", "before", each
        base = files_of({**each, "files": {}}, known)
        changed = {name: content for name, content in files_of(each, known).items() if name not in SEALED}
        after = {**{name: base[name] for name in SEALED}, **changed}
        if changed == {name: content for name, content in base.items() if name not in SEALED}:
            after = {**files_of(each, known), "manifest.note": base["manifest.note"]}
        same = after == base or each.get("now") or each.get("log_key") or each.get("witness_keys")
        yield f"pack: {each['name']}", "after", None if same else {**each, "files": _as_vector(after, base)}


def _as_vector(files: Mapping[str, bytes], base: Mapping[str, bytes]) -> dict[str, Any]:
    gone: dict[str, Any] = dict.fromkeys(base.keys() - files.keys())
    return gone | {name: {"base64": base64.b64encode(content).decode()} for name, content in files.items()}


def _of_trees() -> Iterator[tuple[str, str, Vector | None]]:
    base = Plan().files()
    for each in vectors():
        if not each["rule"] or "leaves" not in each:
            continue
        plan = _pack_of([octets_of(leaf) for leaf in each["leaves"]])
        usable = plan is not None and each["rule"] not in TREE_ONLY
        vector = {"base": "one", "files": _as_vector(plan.files(), base)} if plan and usable else None
        yield f"tree: {each['name']}", "before", vector


def _pack_of(leaves: Sequence[bytes]) -> Plan | None:
    """Plan of a pack with all these leaves, or None if a leaf does not name its call."""
    calls: dict[str, list[int]] = {}
    for number, content in enumerate(leaves):
        try:
            calls.setdefault(json.loads(content)["call"], []).append(number)
        except (ValueError, KeyError):
            return None
    return Plan(leaves=list(leaves), records=[{"call": c, "key": None, "leaves": held} for c, held in calls.items()])
