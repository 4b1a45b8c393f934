"""Runs blocking work in a thread, while the event loop continues. Messages in the thread have the caller's language."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(threads: Executor, do: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    """The result of `do`, run in one of these threads."""
    act = partial(do, *given, **named)
    return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, act)
