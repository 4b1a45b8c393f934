"""The bench's arithmetic, and a short run of each way on a real Asterisk."""

import math
from typing import Any

import pytest

from bench import results_in_docs
from bench.cost import __main__ as bench_main
from bench.cost import compare_versions
from bench.cost.cost_bench import cost_bench
from bench.cost.forwarding_ways import Way
from bench.cost.goals import BUSY, HOOK, RunTable, judge_goals, table_row
from bench.cost.run_statistics import Run, Sample, added_percentile, is_clean, merge_runs, percentile
from bench.cost.soak import ResourceUse, growth_per_hour
from lab.patch_library import patch_library
from lab.repository import ROOT


def run(
    way: Way, rate: float, connected_ms: list[float], offered: int | None = None, records: int | None = None
) -> Run:
    samples = tuple(Sample(2.0, 1.0, value) for value in connected_ms)
    return Run(way, rate, offered or len(samples), samples, 0, 10.0, 1.0, None, records)


def test_figures():
    """A percentile is one of the values, a difference has its confidence interval, and growth is per hour."""
    assert [percentile([3.0, 1.0, 2.0, 4.0], share) for share in (0.25, 0.5, 0.95, 1.0)] == [1.0, 2.0, 4.0, 4.0]
    values = [float(value) for value in range(100)]
    found = added_percentile([value + 3 for value in values], values, 0.5)
    assert found.low < 3.0 == found.value < found.high
    assert math.isnan(added_percentile([], values, 0.5).value)
    whole = merge_runs([run(Way.ARI_CALLED, 50, [1.0], records=1), run(Way.ARI_CALLED, 50, [2.0, 3.0], 3, 2)])
    assert (whole.offered, whole.failed, whole.records, len(whole.samples)) == (4, 1, 3, 3)
    looks = [ResourceUse(60.0 * minute, 100 + minute / 60, 200, 12, 40, 3) for minute in range(60)]
    assert [growth_per_hour(looks)[name] for name in ("service_mb", "asterisk_mb")] == pytest.approx(
        [1.0, 0.0], abs=1e-9
    )
    assert growth_per_hour(looks[:2]) == {}


def version(connected_ms: float, asterisk_ms: float, failed: int = 0) -> compare_versions.Loads:
    def load(added_ms: float, times: float) -> dict[str, Any]:
        return {
            "connected_ms": [connected_ms + added_ms] * 9, "post_dial_ms": [2.0 + added_ms] * 9,
            "asterisk_ms": asterisk_ms * times, "service_ms": 2.5, "offered": 9, "failed": failed, "unrecorded": 0,
        }  # fmt: skip

    return {Way.NATIVE: load(0.0, 1.0), HOOK: load(1.25, 1.5)}


def test_two_versions_are_compared_within_each_turn():
    """Other work of the machine slows the hook and the native way of both versions in the same turn."""
    turns = [(version(number, 5.0 + number), version(number + 3, 9.0 + number, failed=1)) for number in range(7)]
    slower = [(one, other | {HOOK: other[HOOK] | {"connected_ms": [99.0] * 9}}) for one, other in turns]
    found = compare_versions.compare(turns)
    assert found["connected"] == {"before": 1.25, "now": 1.25, "difference": 0.0, "low": 0.0, "high": 0.0}
    assert found["asterisk"]["difference"] == pytest.approx(0.0)
    changed = compare_versions.compare(slower)["connected"]
    assert changed["low"] <= changed["difference"] <= changed["high"]
    assert changed["low"] > 80
    assert compare_versions.count_failures(turns) == {"offered": 252, "failed": 14, "unrecorded": 0}
    calls = {"turns": 7, **compare_versions.count_failures(turns)}
    page = compare_versions.table_text(
        {**found, "calls": calls, "versions": {"old": "a", "new": "b"}}, compare_versions._ENGLISH
    )
    assert "| answer → connected over native, p50, ms | 1.25 | 1.25 | +0.00 (+0.00 … +0.00) |" in page
    assert "a and b, each on its own PBX, in 7 turns. Of 252 calls, 14 failed" in page


def test_the_pages_get_the_comparison_once(tmp_path, monkeypatch):
    turns = [(version(1.0, 5.0), version(2.0, 5.0))] * 3
    found = {
        **compare_versions.compare(turns),
        "calls": {"turns": 3, **compare_versions.count_failures(turns)},
        "versions": {"old": "a", "new": compare_versions.version_of(ROOT)},
    }
    for name in ("ENGLISH", "JAPANESE"):
        monkeypatch.setattr(compare_versions, name, tmp_path / name)
        (tmp_path / name).write_text(
            f"# What the hook costs\n{results_in_docs.begin(compare_versions.BENCH)}\n{results_in_docs.END}\n"
        )
    compare_versions.write_page(found)
    once = [(tmp_path / name).read_text() for name in ("ENGLISH", "JAPANESE")]
    compare_versions.write_page(found)
    assert once == [(tmp_path / name).read_text() for name in ("ENGLISH", "JAPANESE")]
    assert all(text.startswith("# What the hook costs\n<!--") and text.count("+0.00") == 12 for text in once)


def test_a_rate_is_clean_where_nothing_failed_and_nothing_waits():
    native = run(Way.NATIVE, 20, [2.0] * 20)
    for expected, connected_ms, offered, records in (
        (True, 30.0, 20, 20),
        (False, 53.0, 20, 20),
        (False, 3.0, 21, 20),
        (False, 3.0, 20, 19),
    ):
        assert is_clean(run(Way.ARI_CALLED, 50, [connected_ms] * 20, offered, records), native) is expected


def test_goals_are_judged_by_what_was_measured(capsys):
    runs = [run(way, rate, [2.0] * 20, records=20 if way.uses_hook else None) for way in Way for rate in (1.0, BUSY)]
    slow = run(Way.AGI_CALLED, BUSY, [99.0] * 20, records=20)
    table = RunTable({(each.way, each.rate): each for each in [*runs, slow]})
    found = {one.what: one for one in judge_goals(table)}
    assert len(found) == 12
    assert found["highest clean rate, ari-called, of native's"].found == 1.0
    assert not found["highest clean rate, agi-called, of native's"].reached
    assert found["answer → connected, over native, one call at a time, p50"].reached
    assert table.clean_rate(Way.AGI_CALLED) == 1.0
    assert table_row(slow, table.native())["added_p50_ms"] == 97.0
    bench_main.print_results(table, [*found.values()])
    shown = capsys.readouterr().out
    assert shown.count("missed") == sum(not one.reached for one in found.values())
    assert "agi-called  clean up to 1 calls/s" in shown


@pytest.mark.alone
@pytest.mark.nightly
def test_every_way_forwards_calls(tmp_path):
    with cost_bench(tmp_path) as bed:
        for way in Way:
            found = bed.run(way, 10, 0.5)
            assert (found.failed, found.unrecorded) == (0, 0), way
            assert all(0 < sample.connected_ms < 500 for sample in found.samples)
            assert all((sample.onset_ms is not None) is way.has_sound for sample in found.samples)
            assert found.asterisk_ms_per_call > 0
        assert bed.run_and_observe(Way.ARI_CALLED, 10, 0.5, 0.2).most_mb > 10


def test_a_bench_takes_as_long_as_it_was_given(monkeypatch):
    """The time limit of a bench includes the start and the end of each load, however long they take."""
    now_s = [0.0]
    patch_library(monkeypatch, bench_main, "time", monotonic=lambda: now_s[0])

    class Slow:
        def run(self, way: Way, rate: float, seconds: float) -> Run:
            now_s[0] += seconds + 4.0
            return run(way, rate, [])

    pace = bench_main.Pace(300.0, 3.0)
    for left in range(20, 0, -1):
        pace.run(Slow(), Way.DIAL, 1.0, left)
    assert 285 < now_s[0] < 315
