"""The cost of a key in a PKCS#11 token (SoftHSM) beside one in a file: signatures, and commits with checkpoints.

    python -m bench.token_signing [--signatures N] [--commits N] [--json]

Both take turns in one run, so that other load affects both. A commit contains a call's last step, with the signatures
of its leaf and head. The bench waits for the commit; a real call does not. The times of
`away` are those of commits while the token's program fails.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from idtone.core.settings.settings import LedgerSettings, TokenSettings
from idtone.ledger.keys import hardware_token_signer
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing import ledger_writer
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab import pkcs11_token
from lab.ledger.sample_evidence import heard_call, write_each

from .bench_output import options, report

SIGNATURES: Final = 3000
COMMITS: Final = 300
TURNS: Final = 10
KEY: Final = "hsm:1?label=bench"


def settings_of(folder: Path, library: Path | None) -> LedgerSettings:
    """Settings of a ledger whose key is in a token, or in a file if `library` is None."""
    folder.mkdir()
    (folder / "pin").write_text(pkcs11_token.PIN)
    placed = TokenSettings(library=library, key=KEY if library else None, pin_file=folder / "pin")
    return LedgerSettings(url=f"sqlite:///{folder}/l.sqlite3", key_file=folder / "key", token=placed)


def timed(work: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begin_s)


def commit_times(writer: LedgerWriter, count: int, numbers: Iterator[int]) -> list[float]:
    """Milliseconds of each commit with a call's last step."""
    taken = []
    for number in (next(numbers) for _ in range(count)):
        *before, last = heard_call(f"c-{number}", 1000.0 * number)
        write_each(writer, *before)
        taken.append(timed(lambda last=last: write_each(writer, last)))  # type: ignore[misc]
    return taken


def main() -> None:
    asked = options(__doc__, signatures=SIGNATURES, commits=COMMITS).parse_args()
    ledger_writer.LINGER_S = 0.0  # type: ignore[misc]  # of each commit, only its own time
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idtone-bench-")))
        (folder / "hsm").mkdir()
        library = stack.enter_context(pkcs11_token.softhsm(folder / "hsm", "bench"))
        pkcs11_token.new_key(library, "bench", 1, pkcs11_token.EDWARDS)
        rings = {
            name: KeyRing.of(settings_of(folder / name, used), "pbx-1")
            for name, used in (("file", None), ("token", library))
        }
        signed: dict[str, list[float]] = {name: [] for name in rings}
        for ring in rings.values():
            ring.signer.sign("warm\n")
        for turn in range(TURNS):
            for name, ring in rings.items():
                for number in range(asked.signatures // TURNS):
                    text = f"pbx-1/idtone\n{turn}{number:05}\nroot\n"
                    signed[name].append(timed(lambda ring=ring, text=text: ring.signer.sign(text)))  # type: ignore[misc]
        writers = {
            name: stack.enter_context(LedgerWriter.open(f"sqlite:///{folder}/{name}/l.sqlite3", "pbx-1", ring))
            for name, ring in rings.items()
        }
        numbers = iter(range(10**9))
        for writer in writers.values():
            commit_times(writer, 1, numbers)
        taken: dict[str, list[float]] = {name: [] for name in writers}
        for _ in range(TURNS):
            for name, writer in writers.items():
                taken[name] += commit_times(writer, asked.commits // TURNS, numbers)
        hardware_token_signer.PROGRAM[:] = ["/bin/false"]
        rings["token"].close()
        first = commit_times(writers["token"], 1, numbers)
        taken["away"] = commit_times(writers["token"], asked.commits // 3, numbers)
    report(
        "The key of the log in a file and in a token",
        {
            "signatures_a_second": {name: round(1000 / statistics.mean(each)) for name, each in signed.items()},
            "signature_ms": {name: percentiles(each) for name, each in signed.items()},
            "commit_ms": {name: percentiles(each) for name, each in taken.items()},
            "first_commit_away_ms": round(first[0], 2),
            "added_ms": round(statistics.median(taken["token"]) - statistics.median(taken["file"]), 3),
        },
        asked.json,
    )


def percentiles(taken: list[float]) -> dict[str, float]:
    """The p50 and p99 of times, in milliseconds."""
    ordered = sorted(taken)
    return {"p50": round(statistics.median(ordered), 3), "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 3)}


if __name__ == "__main__":
    main()
