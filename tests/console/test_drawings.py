"""The figures in drawings: they are to scale, inside the drawing, and equal to the evidence."""

import numpy as np
import pytest

from idtone.console.drawings.proof_tree import proof_tree
from idtone.console.drawings.scale import TimeScale, time_text
from idtone.console.drawings.timeline import BarKind, timeline
from idtone.console.drawings.wave import wave
from idtone.core.calls import Party
from idtone.ledger.evidence.call_record import record_of_steps
from idtone.ledger.evidence.steps import CallStatus, Step, StepKind, ended
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.proof_check import check_proof
from lab.ledger.sample_evidence import LOG, REFUSE, cancelled_call, decided, evidence, heard_call, time_after, url_of
from lab.ledger.sample_ledger import write


@pytest.mark.parametrize("last_ms", [1, 17, 440, 3405.5, 60_000, 599_000, 7_300_000, 90_000_000.0, 4e12])
def test_ticks_are_round_and_few(last_ms):
    ticks = TimeScale(0, last_ms, 100, 700).ticks()
    assert 2 <= len(ticks) <= 8
    assert ticks[0].x == 100
    assert all(100 <= tick.x <= 700 for tick in ticks)
    assert len({tick.text for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("ms", "step_ms", "text"),
    [
        (0, 50, "0 ms"), (250, 50, "250 ms"), (2500, 500, "2.5 s"), (200_000, 60_000, "3:20"),
        (3_720_000, 60_000, "1:02:00"), (-1500, 500, "-1.5 s"),
    ],
)  # fmt: skip
def test_times_are_written_as_exactly_as_the_scale_needs(ms, step_ms, text):
    assert time_text(ms, step_ms) == text


def test_the_timeline_is_to_scale():
    setup, whole = timeline(record_of_steps("pbx-1", heard_call())).bands
    assert [mark.text for mark in setup.marks] == ["1", "2–3", "4–5"]
    assert [mark.text for mark in whole.marks] == ["1", "2–5", "6"], "no number covers another"
    steps = dict(enumerate((x for mark in whole.marks for x in mark.xs), 1))
    assert (steps[4] - steps[1]) / (steps[6] - steps[1]) == pytest.approx(3404 / 60_000, abs=0.001)
    near = dict(enumerate((x for mark in setup.marks for x in mark.xs), 1))
    assert [*near] == [1, 2, 3, 4, 5]
    assert (near[4] - near[3]) / (near[3] - near[1]) == pytest.approx(402 / 3002, abs=0.001)
    assert [lane.party for lane in setup.lanes] == [None, Party.CALLED]


def test_the_bars_of_the_timeline():
    _, whole = timeline(record_of_steps("pbx-1", heard_call())).bands
    steps = dict(enumerate((x for mark in whole.marks for x in mark.xs), 1))
    assert [bar.kind for bar in whole.bars] == [BarKind.RINGING, BarKind.TALK, BarKind.SOUND]
    assert whole.bars[1].width == pytest.approx(steps[6] - steps[5], abs=0.2)


def test_what_was_not_heard_and_calls_without_sound_are_drawn_too():
    (whole,) = timeline(record_of_steps("pbx-1", cancelled_call("c-1", 0))).bands
    assert [bar.kind for bar in whole.bars] == [BarKind.RINGING, BarKind.FAILED]
    refused = timeline(record_of_steps("pbx-1", [decided(REFUSE), ended("c-1", time_after(0), CallStatus.REFUSED)]))
    assert len(refused.bands) == 1
    alone = timeline(record_of_steps("pbx-1", [Step("c-1", StepKind.ENDED, time_after(0))]))
    for line in (refused, alone):
        for band in line.bands:
            assert all(0 <= mark.x <= line.width for mark in band.marks)


def test_a_wave_has_the_sounds_length_and_peak():
    tone = (16384 * np.sin(2 * np.pi * 400 * np.arange(8000) / 16000)).astype(np.int16)
    drawn = wave(tone, 16000)
    assert drawn.duration_ms == 500
    assert drawn.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    ys = [float(point.split(",")[1]) for point in drawn.points.split()]
    assert (min(ys), max(ys)) == pytest.approx((10, 100), abs=0.5)
    assert wave(np.zeros(0, np.int16), 16000).peak_dbfs is None


def test_the_tree_leads_from_the_leaf_to_the_signed_root(tmp_path):
    url = url_of(tmp_path / "ledger.sqlite3")
    write(url, evidence(20))
    with LedgerReader.open(url) as reader:
        (proven,) = reader.proofs("pbx-1-1793491200.4")
    check = check_proof(proven, LOG, [])
    assert check.fault is None
    assert check.checkpoint is not None
    drawn = proof_tree(check)
    kinds = [node.kind for node in drawn.nodes]
    assert (kinds.count("leaf"), kinds.count("root")) == (1, 1)
    assert kinds.count("sibling") == len(proven.proof.hashes)
    root = next(node for node in drawn.nodes if node.kind == "root")
    assert check.checkpoint.root.hex().startswith(root.text)
    assert all(0 <= node.x <= drawn.width and 0 <= node.y < drawn.height for node in drawn.nodes)
