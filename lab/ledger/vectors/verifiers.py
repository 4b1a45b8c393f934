"""All verifiers, and the broken rules that each finds in vectors."""

import base64
import json
import runpy
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from tuf.api.metadata import Metadata, Root

from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import VerifierKey
from idtone.ledger.disclosure.pack_file import read_zip
from idtone.ledger.disclosure.pack_verification import verify_pack_files
from idtone.ledger.evidence.format_rules import Rule, RuleError
from idtone.ledger.evidence.leaf_rules import LeafRules
from lab.node_js import find_or_get_node

from . import association_of, files_of, octets_of

ROOT: Final = Path(__file__).parents[3]
PYTHON: Final = ROOT / "docs" / "verify_pack.py"
JAVASCRIPT: Final = ROOT / "tools" / "second-opinion" / "vectors.mjs"
UNREAD: Final = frozenset({"not verified"})
"""Result of a program that does not name the rules."""

Rules = frozenset[str]
Vector = Mapping[str, Any]


def by_idtone(vectors: Iterable[Vector], known: Mapping[str, Any]) -> list[Rules | None]:
    """Rules that `idtone-evidence verify pack` and `verify tiles` find broken."""
    return [_by_idtone(vector, known) for vector in vectors]


def _by_idtone(vector: Vector, known: Mapping[str, Any]) -> Rules:
    if "leaves" in vector:
        return _of_tree(map(octets_of, vector["leaves"]))
    try:
        log, witnesses = (
            VerifierKey.parse(vector.get("log_key", known["log_key"])),
            [VerifierKey.parse(each) for each in vector.get("witness_keys", known["witness_keys"])],
        )
    except ProofError:
        return frozenset({Rule.KEYS})
    try:
        files = _unzipped(vector["zip"]) if "zip" in vector else files_of(vector, known)
    except LedgerError:
        return frozenset({Rule.ZIP})
    root, today = association_of(vector)
    trusted: Metadata[Root] | None = Metadata[Root].from_bytes(root) if root else None
    now = datetime.fromisoformat(vector.get("now", known["now"]))
    verdict = verify_pack_files(files, log, witnesses, now, (), trusted, [today] if today else [])
    missing = [Rule.COSIGNATURE] if len(verdict.cosigners) < len(witnesses) else []
    return frozenset([*(fault.rule for fault in verdict.faults), *missing])


def _unzipped(text: str) -> dict[str, bytes]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(base64.b64decode(text))
        file.flush()
        return read_zip(Path(file.name))


def _of_tree(leaves: Iterable[bytes]) -> Rules:
    rules, broken = LeafRules({}, has_all=True), set()
    for content in leaves:
        try:
            rules.add(content)
        except RuleError as error:
            broken.add(error.rule.value)
    return frozenset(broken)


@cache
def _verifier() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(PYTHON)))


def by_python(vectors: Iterable[Vector], known: Mapping[str, Any]) -> list[Rules | None]:
    """Result of docs/verify_pack.py: `UNREAD` if a rule is broken. None for vectors that it does not read."""
    return [None if "leaves" in each else _by_python(each, known) for each in vectors]


def _by_python(vector: Vector, known: Mapping[str, Any]) -> Rules:
    program = _verifier()
    now = datetime.fromisoformat(vector.get("now", known["now"])).timestamp()
    try:
        log = program.vkey(vector.get("log_key", known["log_key"]), 1)
        witnesses = [program.vkey(each, 4) for each in vector.get("witness_keys", known["witness_keys"])]
        files = program.unzip(base64.b64decode(vector["zip"])) if "zip" in vector else files_of(vector, known)
    except Exception:  # the program also catches every exception
        return UNREAD
    program.Pack.verify.__globals__["time"] = SimpleNamespace(time=lambda: now)
    return UNREAD if program.Pack(files, log, witnesses, None, *association_of(vector)).faults else frozenset()


def by_javascript(vectors: Sequence[Vector], known: Mapping[str, Any]) -> list[Rules | None]:
    """Rules that tools/second-opinion finds broken. All vectors run in one process."""
    lines = "".join(f"{json.dumps(each)}\n" for each in (known, *vectors))
    done = subprocess.run(
        [*find_or_get_node(), JAVASCRIPT, "-"], input=lines, capture_output=True, encoding="utf-8", check=False
    )
    assert not done.stderr, done.stderr
    return [frozenset(json.loads(line)["rules"]) for line in done.stdout.split("\n") if line]


VERIFIERS: Final[Mapping[str, Callable[[Sequence[Vector], Mapping[str, Any]], list[Rules | None]]]] = {
    "idtone": by_idtone,
    "verify_pack.py": by_python,
    "verify-pack.mjs": by_javascript,
}
