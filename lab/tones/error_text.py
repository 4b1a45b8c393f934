"""The text of an expected error, for tests with tables of errors."""

from collections.abc import Callable

import pytest

from idtone.core.errors import IdtoneError


def error_text(
    error: type[IdtoneError] | tuple[type[IdtoneError], ...],
    call: Callable[..., object],
    *arguments: object,
    **more: object,
) -> str:
    """Message of the `error` that `call` must raise with these arguments. The test fails if it raises none."""
    try:
        call(*arguments, **more)
    except error as refused:
        return str(refused)
    pytest.fail(f"not refused: {arguments} {more}")
