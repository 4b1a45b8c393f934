"""Data that is read or rendered once, however many pages show it."""

import asyncio
import time
from contextvars import copy_context

import pytest

from idtone.console.decision_plots import DecisionPlots
from idtone.console.shared_reads import Shared
from idtone.console.templates import Templates
from idtone.core.errors import LedgerError
from idtone.core.translation import speak


async def test_what_many_ask_for_at_once_is_read_once():
    reads: list[int] = []

    def read() -> list[int]:
        time.sleep(0.05)
        reads.append(len(reads))
        return [*reads]

    shared = Shared(read, every_s=60)
    assert not shared.is_ready
    first, *others = await asyncio.gather(*(shared.get() for _ in range(20)))
    assert all(each is first for each in others)
    assert reads == first == [0]
    assert shared.is_ready


async def test_it_is_read_again_in_time_and_after_an_error():
    answers = iter([LedgerError("not yet"), "a", "b"])

    def read() -> str:
        answer = next(answers)
        if isinstance(answer, LedgerError):
            raise answer
        return answer

    shared = Shared(read, every_s=0.02)
    with pytest.raises(LedgerError):
        await shared.get()
    assert not shared.is_ready
    assert await shared.get() == "a"
    await asyncio.sleep(0.03)
    assert await shared.get() == "b"


def test_a_part_is_rendered_once_for_each_object_and_language():
    templates, asked = Templates(), []

    def shown(language: str, plots: DecisionPlots) -> str:
        def rendered() -> str:
            speak(language)
            return templates.shared("now_plots.html", language, plots, context)

        def context() -> dict[str, DecisionPlots]:
            asked.append(language)
            return {"plots": plots}

        return copy_context().run(rendered)

    counting, unreadable = DecisionPlots(), DecisionPlots(trouble=LedgerError("the ledger cannot be read"))
    for _ in range(2):
        assert "being counted" in shown("en", counting)
        assert "集計" in shown("ja", counting)
    assert asked == ["en", "ja"]
    assert "the ledger cannot be read" in shown("en", unreadable)
    assert asked == ["en", "ja", "en"]
