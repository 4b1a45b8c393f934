"""The tables of `bench.console_attack` in docs/reference/console-security.md."""

from typing import Final

from lab.repository import ROOT

from .bench_output import Found
from .results_in_docs import write_texts

PAGE: Final = ROOT / "docs" / "reference" / "console-security.md"
BENCH: Final = "bench-console-attack"
MOST_ROWS: Final = 8


def write_page(found: Found) -> None:
    """Write the table of waiting times into docs/reference/console-security.md.

    Raises ValueError if the page has no place for it.
    """
    write_texts({PAGE: table_of(found)}, BENCH)


def table_of(found: Found) -> str:
    slowest = sorted(found["pages"], key=lambda row: row["more_p95_ms"])[-MOST_ROWS:]
    rows = [found["all pages"] | {"page": "all pages"}, *slowest[::-1], *found["sign-ins"]]
    shares, memory = found["processors"], found["memory"]
    names = ("quiet_p50_ms", "attacked_p50_ms", "quiet_p95_ms", "attacked_p95_ms")
    return "\n".join(
        [
            f"{found['calls']:,} calls, {found['hostile']} hostile requests in flight, measured alternately with and "
            f"without the attack; the {MOST_ROWS} pages that the attack delays most, in milliseconds:",
            "",
            "| page | p50 | p50, attacked | p95 | p95, attacked |",
            "|---|---|---|---|---|",
            *(f"| {_code(row['page'])} | {' | '.join(f'{row[name]:,.0f}' for name in names)} |" for row in rows),
            "",
            *(
                f"{when}, the console used {shares[name]['console']:.2f} of a processor and its long reads "
                f"{shares[name]['long_reads']:.2f}."
                for name, when in (("quiet", "Without an attack"), ("attacked", "Under attack"))
            ),
            f"During the attack, the console held {memory['console_mib']:.0f} MiB, and its processes "
            f"{min(memory['long_reads_mib']):.0f} to {max(memory['long_reads_mib']):.0f} MiB each, "
            f"{memory['console_mib'] + sum(memory['long_reads_mib']):.0f} MiB together.",
        ]
    )


def _code(page: str) -> str:
    return f"`{page}`" if page.startswith("/") else page
