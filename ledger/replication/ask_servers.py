"""Queries several PostgreSQL servers in parallel.

A server that accepts a connection but never answers delays the others only once.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, Final, TypeVar

from idtone.core.daemon_thread import in_daemon
from idtone.core.errors import LedgerError

from ..store.postgresql import Server

T = TypeVar("T")

WITHIN_S: Final = 10
"""Time in seconds that a reader waits for any answer from PostgreSQL."""
HOLDS_UP_S: Final = 12.0
"""Time in seconds to wait for a silent server.

It is longer than libpq's connection timeout, so libpq's error is shown. PostgreSQL's own limit would not help if its
process hangs.
"""


def ask_all(servers: Sequence[Server], ask: Callable[[Server], T]) -> tuple[list[tuple[Server, T]], list[LedgerError]]:
    """Query servers in parallel, and return the results by server and the other servers' errors.

    A server that does not answer within `HOLDS_UP_S` is reported as an error.
    """
    asked = [(server, in_daemon(partial(ask, server), f"asking {server}")) for server in servers]
    await_all(answer for _, answer in asked)
    answers: list[tuple[Server, T]] = []
    silent: list[LedgerError] = []
    for server, answer in asked:
        if not answer.done():
            silent.append(not_answered(server))
            continue
        try:
            answers.append((server, answer.result()))
        except LedgerError as error:
            silent.append(error)
    return answers, silent


def await_all(answers: Iterable[Future[Any]]) -> None:
    """Wait until all futures are done, for at most `HOLDS_UP_S`."""
    wait(list(answers), HOLDS_UP_S)


def not_answered(server: Server) -> LedgerError:
    return LedgerError(
        "{server}: no answer within {seconds:.0f} s; see that PostgreSQL runs, and that its machine does not hang",
        server=server,
        seconds=HOLDS_UP_S,
    )
