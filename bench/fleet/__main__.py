"""Failures of a fleet's parts during calls: the losses, and their duration.

    python -m bench.fleet [--rate 30] [--minutes 10] [--only TEXT] [--json]

The goals: calls in progress on other parts are untouched; only calls in set-up on the dead part are lost; each call has
exactly one record; and a suspended number is never connected. Exit 1 if a goal was missed. `--minutes` is the duration
of the network cut between a node and the database.
"""

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from lab.asterisk_installation import find_or_get as find_asterisk
from lab.fleet import fleet
from lab.kamailio import find_or_get as find_kamailio
from lab.postgresql import postgresql_programs
from lab.processes import end_in_order

from ..bench_output import PROGRESS, options, print_table, report
from .drills import Drill, DrillResult, all_drills, run_drill
from .ledger_drills import ClonedNodeDrill, RestoredLedgerDrill

DISK_MB: Final = 24


def main() -> int:
    parser = options(__doc__, rate=30.0, minutes=10.0)
    parser.add_argument("--only", default="", help="only drills whose name has this in it")
    chosen = parser.parse_args()
    end_in_order()
    rows: list[DrillResult] = []
    asterisk = find_asterisk()
    with (
        tempfile.TemporaryDirectory(prefix="idtone-drills-") as folder,
        postgresql_programs() as postgresql,
        fleet(
            Path(folder),
            asterisk,
            find_kamailio(),
            postgresql,
            small_disk={"pbx-3": DISK_MB},
            tell=PROGRESS.print,
        ) as running,
    ):
        first = (
            RestoredLedgerDrill(Path(folder) / "restored", 1).drill(),
            ClonedNodeDrill(Path(folder), 0, asterisk).drill(),
        )
        every: tuple[Drill, ...] = (*first, *all_drills(60 * chosen.minutes))
        for number, one in enumerate(every):
            if chosen.only not in one.name:
                continue
            PROGRESS.print(f"{one.name} …")
            rows.append(run_drill(running, one, chosen.rate, Path(folder) / f"drill-{number}"))
            PROGRESS.print(f"  {'; '.join(rows[-1].faults) or 'as it should be'}")
    missed = sum(bool(row.faults) for row in rows)
    if chosen.json:
        report("", {"rate": chosen.rate, "missed": missed, "drills": [asdict(row) for row in rows]}, True)
    else:
        print_table(f"{chosen.rate:g} calls a second", [_shown(row) for row in rows])
    return 1 if missed else 0


def _shown(row: DrillResult) -> dict[str, object]:
    found = row.judged
    return {
        "drill": row.name,
        "offered": found.offered,
        "lost on it": found.lost_on_dead,
        "cut on it": found.cut_on_dead,
        "lost elsewhere": found.lost_elsewhere,
        "touched elsewhere": found.touched_elsewhere,
        "turned away": found.busy,
        "suspended": f"{found.suspended_connected}/{found.suspended_offered}",
        "notice": found.with_notice,
        "no record": found.without_record,
        "no end": found.incomplete,
        "not replicated": found.not_replicated,
        "kept apart": found.kept_apart,
        "noticed after s": row.noticed_s,
        "calls well after s": found.recovered_s,
        "back after s": row.back_s,
        "goals": "; ".join(row.faults) or "met",
    }


if __name__ == "__main__":
    sys.exit(main())
