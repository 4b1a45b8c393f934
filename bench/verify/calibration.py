"""Learns the verifier's weights of evidence from the development material only.

    python -m bench.verify.calibration

The evidence against the sound is every fit within the tolerance in speech and music. The evidence for it is the fits of
the sound itself under every condition. A logistic regression weighs the features. The threshold is the highest one with
which all profiles reach the goals of detection, and at least a margin above the highest false log-odds. Writes
`CALIBRATION`. The experiment later counts its false alarms, on held-out material.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields
from itertools import islice
from typing import Final

import numpy as np
from rich.progress import Progress

from idtone.tones.verification.log_odds import Features
from idtone.tones.verification.verifier import Verifier, received_mask

from ..bench_output import PROGRESS
from .impaired_legs import CONDITIONS, trials
from .profiles import profiles
from .results import CALIBRATION, CONFORMS_GOAL
from .speech_and_music import Part, music_take, speech_take

NAMES: Final = tuple(field.name for field in fields(Features))
MARGIN: Final = 2.0
"""Least distance of the threshold above the highest false log-odds."""
STEP: Final = 0.05
GREY_HOURS: Final = 30.0
"""Hours in which one profile has one false log-odds above `grey`, on average."""
_MUSIC_EVERY: Final = 8
_RIDGE: Final = 0.003

Rows = list[tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Task:
    profile: str
    condition: str | None
    first: int
    count: int


def gather_evidence(task: Task) -> tuple[Task, Rows, float]:
    """Features of a task's fits, and the hours of its material.

    For trials, the last value is the number of trials without a fit.
    """
    verifier = Verifier(profiles()[task.profile])
    rows: Rows = []
    if task.condition is None:
        hours = 0.0
        for index in range(task.first, task.first + task.count):
            take = (speech_take if index % _MUSIC_EVERY else music_take)(Part.DEVELOPMENT, index)
            hours += take.duration_s / 3600
            for fitted, _ in verifier.fitted_places(take.samples):
                if verifier.tolerates(fitted):
                    rows.append(astuple(verifier.features(take.samples, fitted)))
        return task, rows, hours
    missed = 0
    profile = profiles()[task.profile]
    for trial in trials(profile, CONDITIONS[task.condition], task.first, task.count, Part.DEVELOPMENT):
        near = (
            astuple(verifier.features(trial.samples, fitted))
            for fitted, _ in verifier.fitted_places(trial.samples, received_mask(len(trial.samples), trial.lost))
            if abs(1000 * fitted.start_s - trial.start_ms) < 80 and verifier.tolerates(fitted)
        )
        found = list(islice(near, 1))
        rows += found
        missed += not found
    return task, rows, float(missed)


def learn_weights(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Weights and constant of a ridge logistic regression in which both classes have equal weight."""
    values = np.column_stack([np.vstack([false, true]), np.ones(len(false) + len(true))])
    wanted = np.repeat([0.0, 1.0], [len(false), len(true)])
    importance = np.repeat([1000 / len(false), 1000 / len(true)], [len(false), len(true)])
    weights = np.zeros(values.shape[1])
    for _ in range(100):
        likely = 1 / (1 + np.exp(-np.clip(values @ weights, -60, 60)))
        slope = values.T @ (importance * (likely - wanted)) + _RIDGE * weights
        curve = (values * (importance * likely * (1 - likely))[:, None]).T @ values + _RIDGE * np.eye(len(weights))
        weights -= np.linalg.solve(curve, slope)
    return weights


def _found(trials: list[tuple[np.ndarray, int]], threshold: float) -> float:
    return sum(int(np.sum(each >= threshold)) for each, _ in trials) / sum(count for _, count in trials)


def calibration_tasks(takes: int, count: int) -> Iterator[Task]:
    for profile in profiles():
        for first in range(0, takes, 4):
            yield Task(profile, None, first, min(4, takes - first))
        for condition in CONDITIONS:
            yield Task(profile, condition, 0, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--takes", type=int, default=48, help="ten-minute takes of speech and music for each profile")
    parser.add_argument("--trials", type=int, default=60, help="trials of each profile in each condition")
    given = parser.parse_args()
    work = list(calibration_tasks(given.takes, given.trials))
    with ProcessPoolExecutor(os.cpu_count()) as pool, Progress(console=PROGRESS) as progress:
        write_weights(list(progress.track(pool.map(gather_evidence, work), total=len(work))))


def write_weights(gathered: Sequence[tuple[Task, Rows, float]]) -> None:
    false: dict[str, Rows] = {name: [] for name in profiles()}
    true: dict[tuple[str, str], tuple[Rows, int]] = {}
    hours = 0.0
    for task, rows, amount in gathered:
        if task.condition is None:
            false[task.profile] += rows
            hours += amount
        else:
            true[task.condition, task.profile] = rows, task.count
    weights = learn_weights(
        np.array([row for rows in false.values() for row in rows]),
        np.array([row for rows, _ in true.values() for row in rows]),
    )

    def scores(rows: Rows) -> np.ndarray:
        return np.column_stack([np.array(rows).reshape(-1, len(NAMES)), np.ones(len(rows))]) @ weights

    everything = np.concatenate([scores(rows) for rows in false.values()])
    for name, rows in false.items():
        print(f"{name:20} {len(rows):5} false, the highest {np.round(np.sort(scores(rows))[-5:], 2)}")
    threshold = float(everything.max()) + MARGIN
    conditions = {
        condition: [(scores(rows), count) for (each, _), (rows, count) in true.items() if each == condition]
        for condition in CONDITIONS
    }
    while all(_found(conditions[name], threshold + STEP) >= goal for name, goal in CONFORMS_GOAL.items()):
        threshold += STEP
    rare = max(1, round(hours / GREY_HOURS))
    grey = min(float(np.sort(everything)[-rare]), threshold - MARGIN)
    print("weights", dict(zip((*NAMES, "constant"), np.round(weights, 3).tolist(), strict=True)))
    print(f"threshold {threshold:.2f}, grey {grey:.2f}, {hours:.1f} h")
    for condition in CONDITIONS:
        print(f"{condition:16}", " ".join(f"{_found([each], threshold):.3f}" for each in conditions[condition]))
    stored = {
        "weights": dict(zip((*NAMES, "constant"), np.round(weights, 4).tolist(), strict=True)),
        "threshold": round(threshold, 2),
        "grey": round(grey, 2),
        # Nothing is known of these weights yet; `python -m bench.verify --state` finds it out.
        "hours": 0.0,
        "false_alarms": 0,
        "false_alarms_per_hour": None,
    }
    CALIBRATION.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
