"""The page on the console's security contains the results of the bench."""

from bench import console_attack_page, results_in_docs
from bench.console_attack_page import MOST_ROWS


def row(page: str, more_ms: float) -> dict[str, object]:
    return {
        "page": page,
        "quiet_p50_ms": 5.0,
        "attacked_p50_ms": 9.4,
        "quiet_p95_ms": 10.0,
        "attacked_p95_ms": 10.0 + more_ms,
        "more_p95_ms": more_ms,
    }


def test_the_page_gets_the_pages_that_the_attack_delays_most_and_says_all_sign_ins(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{results_in_docs.begin(console_attack_page.BENCH)}\nold\n{results_in_docs.END}\nafter\n")
    assert results_in_docs.text_in(console_attack_page.PAGE, console_attack_page.BENCH)
    monkeypatch.setattr(console_attack_page, "PAGE", path)
    found = {
        "calls": 220_000,
        "hostile": 200,
        "pages": [row(f"/page-{number}", 1000.0 * number) for number in range(MOST_ROWS + 3)],
        "all pages": row("all", 66.0),
        "sign-ins": [row("sign-in, a new browser", 500.0)],
        "processors": {"quiet": {"console": 0.04, "long_reads": 0.2}, "attacked": {"console": 0.5, "long_reads": 1.0}},
        "memory": {"console_mib": 112.6, "long_reads_mib": [7.2, 14.0]},
    }
    console_attack_page.write_page(found)
    text = path.read_text("utf-8")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")]
    slowest = [f"`/page-{number}`" for number in range(MOST_ROWS + 2, 2, -1)]
    assert rows == ["page", "all pages", *slowest, "sign-in, a new browser"]
    assert "| `/page-10` | 5 | 9 | 10 | 10,010 |" in text
    assert "113 MiB, and its processes 7 to 14 MiB each, 134 MiB together" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
