"""Delays of the event loop while a thread computes, and while the garbage collector runs."""

import asyncio
import gc
import statistics
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from idtone.core.responsive_loop import freeze_garbage, freeze_garbage_again, prefer_event_loop


@pytest.fixture
def as_before() -> Iterator[None]:
    """An interpreter with its initial settings. Phones of other tests may have changed them in this process."""
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(switch_s)


async def late_s() -> float:
    """Median delay of the event loop in s while a thread computes."""
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(100))

    computing = threading.Thread(target=compute)
    computing.start()
    late = []
    for _ in range(50):
        began_s = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - began_s - 0.001)
    over.set()
    computing.join()
    return statistics.median(late)


@pytest.mark.alone
@pytest.mark.usefixtures("as_before")
async def test_a_computing_thread_delays_the_event_loop_only_briefly():
    before_s = await late_s()
    prefer_event_loop()
    assert await late_s() < before_s * 0.6  # 0.2 on an idle machine


@pytest.mark.usefixtures("as_before")
def test_the_garbage_collector_skips_loaded_objects():
    loaded = [[] for _ in range(10)]
    assert any(each is loaded for each in gc.get_objects())
    prefer_event_loop()
    assert not any(each is loaded for each in gc.get_objects())


@pytest.mark.usefixtures("as_before")
def test_what_was_spared_becomes_garbage():
    class Kept:
        def __init__(self) -> None:
            self.itself = self

    kept = Kept()
    gone = weakref.ref(kept)
    freeze_garbage()
    del kept
    gc.collect()
    assert gone() is not None, "it is not scanned"
    freeze_garbage_again()
    assert gone() is None
