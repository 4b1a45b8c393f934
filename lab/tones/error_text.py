"""The texts of refusals, for tables of them."""

from collections.abc import Callable

import pytest

from idtone.core.errors import IdtoneError


def error_text(
    error: type[IdtoneError] | tuple[type[IdtoneError], ...],
    call: Callable[..., object],
    *arguments: object,
    **more: object,
) -> str:
    """The message of the error that the call must raise."""
    try:
        call(*arguments, **more)
    except error as refused:
        return str(refused)
    pytest.fail(f"not refused: {arguments} {more}")
