"""Tampers with a ledger again and again, and counts what `verify` does not find.

    python -m tests.bench.tampering [--count 10000] [--seed N]

Exit 1 where anything was not found.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.progress import track

from ..ledger.verification.tampering import SEED, tampered
from . import reporting
from .reporting import PROGRESS


def main() -> int:
    options = reporting.options(__doc__, count=10_000, seed=SEED).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = tampered(Path(folder), options.count, options.seed)
        told = [*track(outcomes, "tampering", options.count, console=PROGRESS, disable=not PROGRESS.is_terminal)]
    unfound = [done for done, found in told if not found]
    for done in unfound:
        PROGRESS.print(f"not found: {done}", style="red")
    reporting.report("tamperings", {"tried": len(told), "not found": len(unfound)}, options.json)
    return 1 if unfound else 0


if __name__ == "__main__":
    sys.exit(main())
