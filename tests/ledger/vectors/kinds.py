"""Kinds of manipulations × verifiers: each before the signature, by the holder of the log's key, and after it.

Before: everything is signed, sealed and cosigned anew. After: the signatures are those of what was there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..verification.forging import FORGERIES, forge
from . import bases, files_of, octets_of, vectors
from .ledgers import LedgerFiles, NotRows, rows_of, without_day
from .plans import Plan, tree
from .verifiers import VERIFIERS, Vector

LEDGER: Final = "idtone ledger verify"
PACKS: Final[Mapping[str, str]] = {
    "idtone": "idtone ledger verify-pack",
    "verify_pack.py": "verify_pack.py",
    "verify-pack.mjs": "verify-pack.mjs",
}
SEALED: Final = ("manifest.json", "manifest.note")
TREE_ONLY: Final = frozenset({"leaf-steps-missing", "act-request"})
"""Rules of which only a whole tree shows whether they are kept."""


class Outcome(NamedTuple):
    """`found` is None if the verifier cannot meet this kind: what it reads cannot hold it, or is not changed by it."""

    kind: str
    moment: str
    verifier: str
    found: bool | None


def in_ledgers(folder: Path) -> Iterator[Outcome]:
    """Of leaves, as rows of a ledger's file."""
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


def forged(ledger: Path, verify: Any) -> Iterator[Outcome]:
    """Rows of one who has no key, in a ledger whose file is `ledger`; `verify` gives the faults of it."""
    whole = ledger.read_bytes()
    for name, (forgery, _) in FORGERIES.items():
        ledger.write_bytes(whole)
        forge(ledger, forgery)
        yield Outcome(f"without a key: {name}", "after", LEDGER, bool(verify()))
    ledger.write_bytes(whole)


def in_packs() -> Iterator[Outcome]:
    """Of packs, their ZIP files, and of the leaves of whole trees that are all in a pack."""
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
    """A pack of all leaves; None if a leaf does not say of which call it is."""
    calls: dict[str, list[int]] = {}
    for number, content in enumerate(leaves):
        try:
            calls.setdefault(json.loads(content)["call"], []).append(number)
        except (ValueError, KeyError):
            return None
    return Plan(leaves=list(leaves), records=[{"call": c, "key": None, "leaves": held} for c, held in calls.items()])
