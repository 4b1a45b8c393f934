"""Runs blocking work in executor threads with the caller's language setting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(threads: Executor, do: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    """Run `do` in the executor with the caller's context. Returns its result."""
    act = partial(do, *given, **named)
    return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, act)
