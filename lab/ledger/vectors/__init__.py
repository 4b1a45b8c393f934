"""The vectors of docs/evidence-format.md, section 9: `python -m lab.ledger.vectors` writes docs/evidence-vectors."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..example_pack import WITNESS
from ..sample_evidence import LOG

if TYPE_CHECKING:
    from .plans import Plan

FOLDER: Final = Path(__file__).parents[3] / "docs" / "evidence-vectors"
NOW: Final = "2026-12-01T00:00:00+00:00"
"""Present time of the verifiers, except for vectors with another time."""


def association_of(vector: Mapping[str, Any]) -> tuple[bytes | None, dict[str, bytes] | None]:
    """The root that the verifier trusts, and the association's present registry.

    Each is None if the vector lacks it.
    """
    later = vector.get("registry")
    root = octets_of(vector["root"]) if "root" in vector else None
    return root, later and {name: octets_of(value) for name, value in later.items()}


def value_of(octets: bytes) -> object:
    """The octets as text if they are UTF-8, and otherwise in base64."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(octets).decode()}


def octets_of(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


def bases() -> dict[str, Any]:
    from .plans import Plan

    made = {"one": Plan().files(), "two": Plan(policy="two-persons").files()}
    return {
        "log_key": str(LOG),
        "witness_keys": [str(WITNESS.cosigner)],
        "now": NOW,
        "packs": {name: {n: value_of(c) for n, c in files.items()} for name, files in made.items()},
    }


def packs() -> Iterator[dict[str, Any]]:
    from .pack_table import packs as rows

    known = bases()
    for name, rule, plan in rows():
        yield packed(name, rule, plan, known)


def packed(name: str, rule: str | None, plan: Plan, bases: Mapping[str, Any]) -> dict[str, Any]:
    """The vector of a pack. `bases` is the content of bases.json."""
    files = plan.files()
    differ = {
        base: _difference(files, {n: octets_of(c) for n, c in had.items()}) for base, had in bases["packs"].items()
    }
    base = min(differ, key=lambda each: len(json.dumps(differ[each])))
    given: dict[str, Any] = {"log_key": plan.log_key, "witness_keys": plan.witnesses, "now": plan.now}
    given |= {"root": plan.root and value_of(plan.root)}
    given |= {"registry": plan.later and {name: value_of(octets) for name, octets in plan.later.items()}}
    given = {key: value for key, value in given.items() if value is not None}
    return {"name": name, "rule": rule, "base": base, "files": differ[base], **given}


def _difference(files: Mapping[str, bytes], base: Mapping[str, bytes]) -> dict[str, object]:
    changed: dict[str, object] = {name: value_of(c) for name, c in files.items() if base.get(name) != c}
    return changed | {name: None for name in base if name not in files}


def zips() -> Iterator[dict[str, Any]]:
    from .tree_table import zips as rows

    for name, rule, octets in rows():
        yield {"name": name, "rule": rule, "zip": base64.b64encode(octets).decode(), "witness_keys": []}


def trees() -> Iterator[dict[str, Any]]:
    from .tree_table import trees as rows

    for name, rule, leaves in rows():
        yield {"name": name, "rule": rule, "leaves": [value_of(each) for each in leaves]}


def lines() -> dict[str, str]:
    """File name in docs/evidence-vectors → its text."""
    made = {"packs": packs(), "zips": zips(), "trees": trees()}
    found = {f"{name}.jsonl": "".join(f"{_line(each)}\n" for each in rows) for name, rows in made.items()}
    return {"bases.json": f"{_line(bases())}\n", **found}


def _line(value: object) -> str:
    """A value as JSON in one line. Characters that some programs treat as line breaks are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[\x7f-\xa0\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def vectors() -> list[dict[str, Any]]:
    """All vectors in docs/evidence-vectors. The file with the bases of the packs is left out."""
    return [
        json.loads(line)
        for name in ("packs", "zips", "trees")
        for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]


def files_of(vector: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, bytes]:
    """Files of the pack in a vector. `known` is the content of bases.json."""
    chosen = {**known["packs"][vector["base"]], **vector["files"]}
    return {name: octets_of(value) for name, value in chosen.items() if value is not None}
