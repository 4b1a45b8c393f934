"""A desk that is killed at a given moment."""

import os
import signal
from typing import Any

from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.desk.recorded_changes import RecordedChanges
from idtone.office_cli import app

MOMENTS = {"before its leaf": (OfficeLedger, "record_as"), "after its leaf": (RecordedChanges, "_change")}
"""Methods at which the desk is killed."""


def kill_desk_at(moment: str, call: int, words: list[str]) -> None:
    """Run `idtone` with these words, and kill it at call number `call` of the method for `moment`."""
    owner, method = MOMENTS[moment]
    done, calls = getattr(owner, method), 0

    def killed(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return done(*arguments, **named)

    setattr(owner, method, killed)
    app(words)
