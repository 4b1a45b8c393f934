"""A read in a process of its own takes nothing from the pages, and never outlives its visitor or its time."""

from __future__ import annotations

import os
import threading
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from idtone.core.errors import LedgerError, UsageError
from idtone.core.translation import speak, translated
from lab.console import held_reads
from lab.console.held_reads import Held
from lab.console.site import READS
from lab.lab import until


def never() -> bool:
    return False


def read(do: Any, *given: Any, **more: Any) -> Any:
    return READS.run(do, *given, **{"is_gone": never, "is_awaited": never, "within_s": 60.0, "nice": 3, **more})


def test_a_read_has_the_lowest_claim_on_the_processor_and_on_memory():
    assert read(held_reads.priority) == (min(os.nice(0) + 3, 19), "1000")


def test_an_error_reaches_the_page_with_its_translation():
    with pytest.raises(UsageError) as raised:
        read(held_reads.failing, "x")
    assert str(raised.value) == "x is missing"
    assert copy_context().run(in_japanese, str(raised.value)) == "x がありません"


def in_japanese(text: str) -> str:
    speak("ja")
    return translated(text)


async def test_a_read_ends_with_its_time_and_its_memory_and_when_it_dies(tmp_path: Path):
    with pytest.raises(LedgerError, match="took longer than 1 s, and was ended"):
        read(held_reads.held, tmp_path, within_s=1.0)
    await until(lambda: not Held(tmp_path).running(), "the end of the read")
    with pytest.raises(LedgerError, match="more than 700 MiB"):
        read(held_reads.greedy)
    with pytest.raises(LedgerError, match="ended before it was done"):
        read(held_reads.broken)


async def test_a_read_is_killed_when_its_visitor_has_left(tmp_path: Path):
    left, raised = threading.Event(), list[BaseException]()

    def visit() -> None:
        try:
            read(held_reads.held, tmp_path, is_gone=left.is_set)
        except ConnectionAbortedError as error:
            raised.append(error)

    thread = threading.Thread(target=visit)
    thread.start()
    await until(lambda: Held(tmp_path).running(), "the read to begin")
    left.set()
    thread.join(20)
    assert raised
    await until(lambda: not Held(tmp_path).running(), "the end of the read")


def test_a_read_learns_that_others_wait():
    assert read(held_reads.until_others_wait, is_awaited=partial(bool, 1)) == "others"
