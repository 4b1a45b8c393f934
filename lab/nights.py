"""Which tests `make test` leaves to `make test-nightly`: those that hold a promise once more, by another value, another
fault or the whole program, and take long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def rest_at_night(names: str | tuple[str, ...], values: Iterable[Any]) -> pytest.MarkDecorator:
    """As `pytest.mark.parametrize`; `make test` tries only the first of the values."""
    first, *rest = ([each] if isinstance(names, str) else each for each in values)
    by_night = (pytest.param(*each, marks=pytest.mark.nightly) for each in rest)
    return pytest.mark.parametrize(names, [pytest.param(*first), *by_night])


def one_of_each(ones: Iterable[Any], others: Sequence[Any]) -> list[Any]:
    """Values for `parametrize`: all pairs, of which `make test` tries each of `ones` with one of `others`, in turn."""
    return [
        pytest.param(one, other, marks=() if number % len(others) == at else pytest.mark.nightly)
        for number, one in enumerate(ones)
        for at, other in enumerate(others)
    ]
