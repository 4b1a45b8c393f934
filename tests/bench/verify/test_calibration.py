import numpy as np

from bench.verify.calibration import NAMES, calibration_tasks, gather_evidence, learn_weights
from bench.verify.impaired_legs import CONDITIONS
from bench.verify.profiles import profiles


def test_the_learned_weights_part_what_can_be_parted():
    rng = np.random.default_rng(1)
    false, true = rng.normal(0, 1, (500, 3)), rng.normal(0, 1, (300, 3))
    true[:, 1] += 5
    weights = learn_weights(false, true)
    assert len(weights) == 4
    assert weights[1] > 3 * max(abs(weights[0]), abs(weights[2]))
    assert np.mean(true @ weights[:3] + weights[3] > 0) > 0.97
    assert np.mean(false @ weights[:3] + weights[3] > 0) < 0.03


def test_every_profile_is_learned_under_every_condition():
    work = list(calibration_tasks(takes=6, count=3))
    assert {(task.profile, task.condition) for task in work} == {
        (name, condition) for name in profiles() for condition in (None, *CONDITIONS)
    }
    assert sum(task.count for task in work if task.condition is None) == 6 * len(profiles())


def test_a_trial_gives_a_row_of_features():
    task = next(task for task in calibration_tasks(takes=1, count=2) if task.condition == "white +0 dB")
    _, rows, missed = gather_evidence(task)
    assert missed == 0
    assert [len(row) for row in rows] == [len(NAMES)] * 2
