"""Which tests `make test` leaves to `make test-nightly`: those that hold a promise once more, by another value, another
fault or the whole program, and take long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def rest_at_night(names: str | tuple[str, ...], values: Iterable[Any]) -> pytest.MarkDecorator:
    """As `pytest.mark.parametrize`; `make test` tries only the first of the values."""
    first, *rest = ([each] if isinstance(names, str) else each for each in values)
    by_night = (pytest.param(*each, marks=pytest.mark.nightly) for each in rest)
    return pytest.mark.parametrize(names, [pytest.param(*first), *by_night])
