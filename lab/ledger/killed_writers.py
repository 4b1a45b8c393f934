"""Processes that write a ledger until they are killed. They are forked from a process that has imported everything."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from idtone.core.settings.settings import LedgerSettings
from idtone.evidence_cli import app
from idtone.ledger.commands import options
from idtone.ledger.disclosure import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.keys import successor_trees
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.replication import replica_batch, replicator
from idtone.ledger.store import sqlite
from idtone.ledger.writing import group_writer, ledger_writer, maintenance_thread

from .sample_evidence import ALICE, heard_call, wait_until, write_each
from .sample_ledger import writer_of

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def run_until_killed(after_s: float | None, work: Callable[..., None], *arguments: object) -> list[str]:
    """Run `work` in a process, kill it `after_s` seconds after its first text, and return its texts.

    If `after_s` is None, the process kills itself. Asserts that the process ends by SIGKILL.
    """
    receiving, sending = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_begin, args=(dict(os.environ), work, sending, *arguments), daemon=True)
    process.start()
    sending.close()
    told = [receiving.recv()]
    if after_s is None:
        process.join()
    else:
        time.sleep(after_s)
        process.kill()
    try:
        while True:
            told.append(receiving.recv())
    except (EOFError, OSError):  # a text that the kill cut off was never reported
        process.join()
        assert process.exitcode == -signal.SIGKILL
        return told


def _begin(environment: dict[str, str], work: Callable[..., None], *arguments: object) -> None:
    """Run `work` with the environment of the test. The parent process may have that of an earlier test."""
    os.environ.clear()
    os.environ.update(environment)
    work(*arguments)


def write_calls(telling: Connection, url: str, journal: str, start: str) -> None:
    """Write calls and maintain the tree. Report each call when all its steps are acknowledged."""
    sqlite.journal_mode = lambda: journal
    maintenance_thread.LOOK_EVERY_S = ledger_writer.LINGER_S = 0.005
    writer = writer_of(url)
    for number in count():
        for future in [writer.append(step) for step in heard_call(f"{start}-{number}", number * 1000)]:
            future.result()
        telling.send(f"{start}-{number}")


def replicate(telling: Connection, settings: LedgerSettings, start: str) -> None:
    """Write calls and replicate them in small batches. Report the first arrival."""
    replicator.LOOK_EVERY_S, replica_batch.BATCH_STEPS = 0.005, 7
    one = replicator.Replicator(settings, "pbx-1")
    with ledger_writer.LedgerWriter.open(settings.own_url(), "pbx-1", KeyRing.of(settings, "pbx-1")) as writer:
        write_each(writer, *heard_call(f"{start}-first"))
        one.begin()
        wait_until(lambda: one.status.behind == 0)
        telling.send("replicating")
        for number in count():
            for step in heard_call(f"{start}-{number}", number):
                writer.append(step)
            time.sleep(0.002)


MOMENTS = {
    "the new key is made": (successor_trees.SuccessorTrees, "record_next_key"),
    "the new key is remembered": (group_writer.GroupWriter, "end"),
    "the end is written": (group_writer.GroupWriter, "_begin_next"),
    "the next tree has its name": (group_writer.GroupWriter, "_start"),
    "the old database is set aside": (group_writer, "connect_for_writing"),
    "the next tree is begun": (successor_trees.SuccessorTrees, "record_start"),
}
"""Methods before which a process that replaces a key is killed."""


GIVING_UP = {
    "it is allowed": (record_act, "_write"),
    "the act is written": (group_writer, "note_given_up_ends"),
    "the file beside the key is to say so": (successor_trees.SuccessorTrees, "give_up"),
}
"""Methods before which a process that gives up the end of a log is killed."""


def give_up(telling: Connection, config: str, moment: str) -> None:
    """Give up the unsigned end of a log, and die at the given moment."""
    _die_after(record_act, "_admit", GIVING_UP[moment])
    options.acting_person = lambda: ALICE
    telling.send("giving up")
    app(["log", "give-up", "--why", "burnt", "--yes", "-c", config])


def replace_key(telling: Connection, config: str, moment: str) -> None:
    """Replace the key of the log, and die at the given moment."""
    _die_after(steps, "key_replaced", MOMENTS[moment])
    telling.send("replacing")
    app(["log", "replace-key", "--why", "x", "--yes", "-c", config])


def _die_after(where: Any, name: str, moment: tuple[Any, str]) -> None:
    """Make this process die before the method of `moment`, once `where.name` has been called.

    The ledger is open by then.
    """
    owner, method = moment
    done = getattr(owner, method)
    ready: list[bool] = []

    def killed(*arguments: Any, **named: Any) -> Any:
        if ready:
            os.kill(os.getpid(), signal.SIGKILL)
        return done(*arguments, **named)

    def begun(*arguments: Any) -> Any:
        ready.append(True)
        return before(*arguments)

    before = getattr(where, name)
    setattr(where, name, begun)
    setattr(owner, method, killed)
