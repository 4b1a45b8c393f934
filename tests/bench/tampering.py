"""Tampers with a ledger again and again, and counts what `verify` does not find.

    python -m tests.bench.tampering [--count 10000] [--seed N]

Exit 1 where anything was not found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.progress import track

from ..ledger.verification.tampering import SEED, tampered
from .reporting import PROGRESS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = tampered(Path(folder), options.count, options.seed)
        told = [*track(outcomes, "tampering", options.count, console=PROGRESS, disable=not PROGRESS.is_terminal)]
    unfound = [done for done, found in told if not found]
    for done in unfound:
        PROGRESS.print(f"not found: {done}", style="red")
    print(f"{len(told)} tamperings, {len(unfound)} not found")
    return 1 if unfound else 0


if __name__ == "__main__":
    sys.exit(main())
