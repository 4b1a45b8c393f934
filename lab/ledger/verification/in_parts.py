"""A small ledger that is verified in parts, as a large one is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from idtone.ledger.verification import parts

if TYPE_CHECKING:
    import pytest

PARTS = 3


def in_parts(monkeypatch: pytest.MonkeyPatch, count: int = PARTS) -> list[bool]:
    """From now on each ledger is read in so many parts, by this process. Returns, for each that is verified, whether
    its parts could be joined.
    """
    joined: list[bool] = []

    def read(
        asked: Sequence[parts.Asked], reader: parts.Reader, progress: Callable[[int], None]
    ) -> list[parts.Part] | None:
        found = []
        for each in asked:
            found.append(reader(each, lambda steps: None))
            progress(each.cut.until)
        return [part for part in found if part] if all(found) else None

    def join(*arguments: object) -> bool:
        joined.append(whole(*arguments))
        return joined[-1]

    whole: Callable[..., bool] = parts.join
    monkeypatch.setattr(parts, "cuts", lambda last, processes: parts.evenly(last, min(count, last)) if last > 1 else [])
    monkeypatch.setattr(parts, "read", read)
    monkeypatch.setattr(parts, "join", join)
    return joined
