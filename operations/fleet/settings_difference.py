"""Shows the differences between two settings files."""

from collections.abc import Iterator, Mapping
from typing import Any

from idtone.core.settings.shared_settings import value_text


def difference_rows(differences: Mapping[str, tuple[Any, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield the name and both values of each key that differs."""
    for name, (one, other) in sorted(differences.items()):
        yield name, value_text(one), value_text(other)
