"""Exact one-sided 95 % confidence bounds of counts.

The bounds are Clopper and Pearson's for trials, and Garwood's for events in hours. Without an event, both agree with
the rule of three: at most 3 in n.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

_RISK: Final = 0.05


def at_least(hits: int, trials: int) -> float:
    """Lower bound of the rate after `hits` hits in `trials` trials."""
    return 0.0 if hits == 0 else _crossing(lambda rate: 1 - _binomial_up_to(hits - 1, trials, rate) - _RISK)


def at_most(hits: int, trials: int) -> float:
    """Upper bound of the rate after `hits` hits in `trials` trials."""
    return 1.0 - at_least(trials - hits, trials)


def events_at_most(events: int) -> float:
    """Upper bound of the mean number of events in a period in which `events` were observed."""

    def up_to(mean: float) -> float:
        return sum(math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(events + 1))

    highest = 10 + 3 * events
    return highest * _crossing(lambda share: _RISK - up_to(share * highest) if share else _RISK - 1)


def _crossing(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _binomial_up_to(hits: int, trials: int, rate: float) -> float:
    if rate <= 0 or rate >= 1:
        return 1.0 if rate <= 0 or hits >= trials else 0.0
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, trials + 1)))))
    k = np.arange(hits + 1)
    logs = factorials[trials] - factorials[k] - factorials[trials - k] + k * math.log(rate)
    logs += (trials - k) * math.log1p(-rate)
    return float(np.exp(np.logaddexp.reduce(logs)))
