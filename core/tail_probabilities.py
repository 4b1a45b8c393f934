"""Tail probabilities for deciding whether a high count could have occurred by chance.

The results are exact except for rounding.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

_NEGLIGIBLE: Final = 1e-16
"""Share of the sum below which a term ends the summation."""
_TO_SIGMA: Final = 1.4826
"""Factor from the median absolute deviation of a normal distribution to its standard deviation."""


@lru_cache(maxsize=65536)
def poisson_tail(count: int, mean: float) -> float:
    """Probability of at least `count` events in a Poisson distribution with this mean."""
    if count <= 0:
        return 1.0
    if count <= mean:  # summed from below, because the terms there are large
        return max(0.0, 1 - math.fsum(_poisson(each, mean) for each in range(count)))
    total, term = 0.0, _poisson(count, mean)
    while term > total * _NEGLIGIBLE:
        total += term
        count += 1
        term *= mean / count
    return total


def _poisson(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


@lru_cache(maxsize=65536)
def binomial_tail(count: int, of: int, share: float) -> float:
    """Probability of at least `count` successes in `of` trials with the success probability `share` (0 < share < 1)."""
    if count <= 0:
        return 1.0
    if count <= of * share:  # summed from below, because the terms there are large
        return max(0.0, 1 - math.fsum(_binomial(each, of, share) for each in range(count)))
    if count > of:
        return 0.0
    total, term, odds = 0.0, _binomial(count, of, share), share / (1 - share)
    while term > total * _NEGLIGIBLE:
        total += term
        term *= (of - count) / (count + 1) * odds
        count += 1
    return total


def _binomial(count: int, of: int, share: float) -> float:
    return math.exp(
        math.lgamma(of + 1)
        - math.lgamma(count + 1)
        - math.lgamma(of - count + 1)
        + count * math.log(share)
        + (of - count) * math.log1p(-share)
    )


def least_poisson(mean: float, level: float) -> int:
    """Smallest count whose `poisson_tail` is below `level`."""
    count = math.ceil(mean)
    while poisson_tail(count, mean) >= level:
        count += 1
    return count


def least_binomial(of: int, share: float, level: float) -> int:
    """Smallest count whose `binomial_tail` is below `level`, or `of` + 1 if no count is."""
    count = math.ceil(of * share)
    while count <= of and binomial_tail(count, of, share) >= level:
        count += 1
    return count


def runs_test(order: Sequence[str]) -> float:
    """Probability that a random order of these names has at most as many runs as this order; 1 for a single name.

    Uses the normal approximation of Mood's runs test (1940) for several kinds.
    """
    count = len(order)
    each = Counter(order).values()
    squares, cubes = sum(number**2 for number in each), sum(number**3 for number in each)
    if len(each) < 2 or count < 3:
        return 1.0
    mean = count + 1 - squares / count
    variance = (squares * (squares + count * (count + 1)) - 2 * count * cubes - count**3) / (count**2 * (count - 1))
    if variance <= 0:
        return 1.0
    runs = 1 + sum(one != other for one, other in pairwise(order))
    return 0.5 * math.erfc((mean - runs - 0.5) / math.sqrt(2 * variance))


def round_robin_bound(order: Sequence[str]) -> float:
    """Upper bound on the probability that a random order takes turns as regularly as `order`.

    Counts the rounds that contain each name once. The bound is reached if all names are equally frequent.
    """
    kinds = len(set(order))
    rounds = len(order) // kinds
    full = sum(len(set(order[start : start + kinds])) == kinds for start in range(0, rounds * kinds, kinds))
    if kinds < 2:
        return 1.0
    return binomial_tail(full, rounds, math.factorial(kinds) / kinds**kinds)


def usual(counts: Sequence[int]) -> float:
    """Robust upper value of the counts: the median plus one standard deviation, estimated from the median deviation."""
    middle = _median(counts)
    return middle + _TO_SIGMA * _median([abs(count - middle) for count in counts])


def _median(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def level_per_window(false_alarm: float, count: int) -> float:
    """Significance level for each of `count` tests, corrected by Bonferroni."""
    return false_alarm / max(1, count)
