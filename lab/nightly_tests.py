"""Marks of tests that `make test` leaves to other targets.

Tests of `make test-breadth` test a promise again with another value of the same kind. Tests of `make test-nightly` test
it with another fault or with the complete program, and take long.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Any

import pytest


def rest_at_night(names: str | tuple[str, ...], values: Iterable[Any]) -> pytest.MarkDecorator:
    """Parametrize like `pytest.mark.parametrize`, but leave all values except the first to `make test-nightly`."""
    return _rest(pytest.mark.nightly, names, values)


def rest_in_breadth(names: str | tuple[str, ...], values: Iterable[Any], **more: Any) -> pytest.MarkDecorator:
    """Parametrize like `pytest.mark.parametrize`, but leave all values except the first to `make test-breadth`."""
    return _rest(pytest.mark.breadth, names, values, **more)


def _rest(
    mark: pytest.MarkDecorator, names: str | tuple[str, ...], values: Iterable[Any], **more: Any
) -> pytest.MarkDecorator:
    first, *rest = ([each] if isinstance(names, str) else each for each in values)
    marked = (pytest.param(*each, marks=mark) for each in rest)
    return pytest.mark.parametrize(names, [pytest.param(*first), *marked], **more)


def breadth(*value: Any) -> Any:
    """A value for `parametrize` that `make test` leaves to `make test-breadth`."""
    return pytest.param(*value, marks=pytest.mark.breadth)


def nightly(*value: Any) -> Any:
    """A value for `parametrize` that `make test` and `make test-breadth` leave to `make test-nightly`."""
    return pytest.param(*value, marks=pytest.mark.nightly)


def one_of_each(
    ones: Iterable[Any],
    others: Sequence[Any],
    broad: Container[Any] = (),
    rest: pytest.MarkDecorator = pytest.mark.nightly,
) -> list[Any]:
    """All pairs of `ones` and `others`, for `parametrize`.

    `make test` tries each of `ones` with one of `others`, in turn. It leaves those `ones` that are in `broad` to `make
    test-breadth`. The other pairs have the mark `rest`.
    """

    def marks(one: Any, is_tried: bool) -> Sequence[pytest.MarkDecorator]:
        return [pytest.mark.breadth] * (one in broad) if is_tried else [rest]

    return [
        pytest.param(one, other, marks=marks(one, number % len(others) == at))
        for number, one in enumerate(ones)
        for at, other in enumerate(others)
    ]
