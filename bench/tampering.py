"""Tampers with evidence, and counts the changes that verifiers miss.

    python -m bench.tampering [--count 20000] [--seed N] [--json] [--page] [--result FILE]

First, four verifiers judge all named kinds of manipulation, before and after the signature. Then come `--count` random
changes: a quarter each of a ledger's rows, of its database pages, of tiles, and of packs. Last comes the cost of the
worst inputs. Exit 1 if a change was missed, or an input cost more than it may. `--page` puts the tables into
docs/explanation/evidence.md and its Japanese page. With `--result`, the tables come from the JSON of an earlier run.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from rich.progress import track

from lab.ledger.sample_evidence import decided, evidence, url_of
from lab.ledger.sample_ledger import verification_faults, write
from lab.ledger.vectors.manipulations import Outcome, forged_outcomes, ledger_outcomes, pack_outcomes
from lab.ledger.verification.tampering import SEED, tampered

from . import bench_output, tampering_page
from .bench_output import PROGRESS
from .evidence_mutations import Mutation, mutate_packs, mutate_pages, mutate_tiles
from .hostile_evidence import costs


def kinds(folder: Path) -> list[Outcome]:
    """Results of the verifiers for each kind of manipulation."""
    ledger = folder / "forged" / "ledger.sqlite3"
    write(url_of(ledger), evidence(8), [decided(call_id="open")])
    return [
        *ledger_outcomes(folder),
        *forged_outcomes(ledger, lambda: verification_faults(url_of(ledger))),
        *pack_outcomes(),
    ]


def of_kinds(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """Counts of the results as rows, one for each verifier."""
    rows = []
    for verifier in dict.fromkeys(each.verifier for each in outcomes):
        own = [each for each in outcomes if each.verifier == verifier]
        row: dict[str, object] = {"verifier": verifier, "kinds": len({each.kind for each in own})}
        for moment in ("before", "after"):
            counted = Counter(each.found for each in own if each.moment == moment)
            row |= {f"{moment}: found": counted[True], f"{moment}: not found": counted[False]}
            row[f"{moment}: cannot be"] = counted[None]
        rows.append(row)
    return rows


def random_changes(folder: Path, count: int, seed: int) -> Iterator[Mutation]:
    quarter = count // 4
    rows = (Mutation("row", what, () if found else ("verify",)) for what, found in tampered(folder, quarter, seed))
    return chain(
        rows,
        mutate_pages(folder, quarter, seed),
        mutate_tiles(folder, quarter, seed),
        mutate_packs(folder, quarter, seed),
    )


def main() -> int:
    parser = bench_output.options(__doc__, count=20_000, seed=SEED)
    parser.add_argument("--page", action="store_true", help="put the tables into the pages of the documentation")
    parser.add_argument("--result", type=Path, metavar="FILE", help="with --page: the JSON of an earlier run")
    options = parser.parse_args()
    if options.result and not options.page:
        parser.error("--result: the tables go into the pages, so write --page too")
    if options.result:
        tampering_page.write(json.loads(options.result.read_text()))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        named = kinds(folder)
        (folder / "random").mkdir()
        mutated = random_changes(folder / "random", options.count, options.seed)
        hidden = not PROGRESS.is_terminal
        told = [*track(mutated, "tampering", options.count, console=PROGRESS, disable=hidden)]
        cost = list(costs(folder))
    unfound = [f"{each.kind} {each.moment} the signature: {each.verifier}" for each in named if each.found is False]
    unfound += [
        f"{each.where} {each.what}: {', '.join(each.missed)}" for each in told if each.missed and not each.harmless
    ]
    unfound += [
        f"{each.input}: {each.verifier} took {each.seconds:.0f} s, {each.mib} MiB" for each in cost if each.is_over
    ]
    for each in unfound:
        PROGRESS.print(f"not found: {each}", style="red")
    found = {
        "kinds": of_kinds(named),
        "random": [
            {
                "what": where,
                "tried": len(own := [each for each in told if each.where == where]),
                "found": sum(not each.missed for each in own),
                "harmless": sum(bool(each.harmless) for each in own),
                "not found": sum(bool(each.missed) and not each.harmless for each in own),
            }
            for where in dict.fromkeys(each.where for each in told)
        ],
        "worst": [each._asdict() for each in cost],
    }
    if options.page:
        tampering_page.write(found)
    if options.json:
        bench_output.report("tampering", found, True)
    else:
        for title, rows in found.items():
            bench_output.print_table(title, rows)
    return 1 if unfound else 0


if __name__ == "__main__":
    sys.exit(main())
