"""Probabilities, compared with exact ones and with random draws."""

import random
from fractions import Fraction
from math import comb, exp, factorial

import pytest

from idtone.core.tail_probabilities import (
    binomial_tail,
    least_binomial,
    least_poisson,
    poisson_tail,
    round_robin_bound,
    runs_test,
    usual,
)


@pytest.mark.parametrize("mean", [0.5, 3, 40])
@pytest.mark.parametrize("times", [0, 0.5, 1, 1.5, 3])
def test_poisson(mean, times):
    count = round(mean * times)
    below = sum(Fraction(mean) ** each / factorial(each) for each in range(count))
    beyond = sum(Fraction(mean) ** each / factorial(each) for each in range(count, count + 6 * int(mean) + 60))
    exact = float(beyond / (below + beyond))  # the terms after that are nothing
    assert poisson_tail(count, mean) == pytest.approx(exact, rel=1e-9)
    assert poisson_tail(1, mean) == pytest.approx(1 - exp(-mean))


@pytest.mark.parametrize("of", [1, 20, 100])
@pytest.mark.parametrize("share", ["0.05", "0.3", "0.9"])
def test_binomial(of, share):
    exact_share = Fraction(share)
    terms = [comb(of, each) * exact_share**each * (1 - exact_share) ** (of - each) for each in range(of + 1)]
    for count in {0, 1, of // 10, of // 2, of - 1, of}:
        assert binomial_tail(count, of, float(share)) == pytest.approx(float(sum(terms[count:])), rel=1e-8)
    assert binomial_tail(of + 1, of, float(share)) == 0


@pytest.mark.parametrize("level", [0.01, 1e-6, 1e-12])
def test_the_least_count_that_is_reported(level):
    least = least_poisson(40, level)
    assert poisson_tail(least, 40) < level <= poisson_tail(least - 1, 40)
    least = least_binomial(100, 0.3, level)
    assert binomial_tail(least, 100, 0.3) < level <= binomial_tail(least - 1, 100, 0.3)
    assert least_binomial(3, 0.3, level) == (4 if level < 0.027 else 3)


@pytest.mark.parametrize(("order", "few", "turns"), [
    ("A" * 20, 1, 1),
    ("AAAAABBBBBCCCCCDDDDDEEEEE", 1e-6, 1),
    ("ABCDE" * 5, 1, 1e-6),
    ("AB", 1, 0.6),
])  # fmt: skip
def test_orders(order, few, turns):
    assert runs_test(order) <= few
    assert round_robin_bound(order) <= turns
    assert (runs_test(order) > 0.05) == (few > 0.05)
    assert (round_robin_bound(order) > 0.05) == (turns > 0.05)


@pytest.mark.parametrize("judge", [runs_test, round_robin_bound])
@pytest.mark.parametrize("calls", [[6] * 6, [20, 10, 5, 3, 2]], ids=str)
def test_a_random_order_is_reported_as_rarely_as_is_said(judge, calls):
    dice, order = random.Random(1), [str(name) for name, count in enumerate(calls) for _ in range(count)]
    found = {0.05: 0, 0.01: 0}
    for _ in range(1000):
        dice.shuffle(order)
        chance = judge(order)
        for level in found:
            found[level] += chance < level
    # Too many by chance alone: once in ten thousand.
    assert {level: binomial_tail(count, 1000, 1.2 * level) > 1e-4 for level, count in found.items()} == {
        0.05: True,
        0.01: True,
    }


def test_what_is_usual_is_not_moved_by_a_few_great_ones():
    assert usual([4, 5, 6, 5, 4, 900]) == pytest.approx(5 + 1.4826)
    assert usual([7]) == 7
