"""Runs checks side by side. A check that crashes or does not end is a finding, and not the end of the others."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from .checks import Check
from .exam import Exam
from .findings import TOPICS, Finding, unknown

DEADLINE_S: Final = 8.0
"""For all checks together; what a check waits for has shorter ones of its own."""
POLL_S: Final = 0.1

_Told = tuple[Check, Finding | None]


def run(
    exam: Exam,
    checks: Sequence[Check],
    deadline_s: float = DEADLINE_S,
    waiting: Callable[[Collection[str]], None] = lambda topics: None,
) -> list[Finding]:
    """One finding for each topic of `checks`, in the order of `TOPICS`. `waiting` is told what is not done yet.

    The threads of checks that do not end are left to themselves, and end with the process.
    """
    told: queue.SimpleQueue[_Told] = queue.SimpleQueue()
    for check in checks:
        threading.Thread(target=_look, args=(exam, check, told), name=f"doctor-{check.topics[0]}", daemon=True).start()
    pending = list(checks)
    found: dict[str, Finding] = {}
    end_s = time.monotonic() + deadline_s
    while pending and time.monotonic() < end_s:
        waiting([topic for check in pending for topic in check.topics if topic not in found])
        try:
            check, finding = told.get(timeout=POLL_S)
        except queue.Empty:
            continue
        if finding is None:
            pending.remove(check)
        else:
            found[finding.topic] = finding
    for check in pending:
        for topic in check.topics:
            found.setdefault(topic, unknown(topic, f"the check did not end within {deadline_s:g} s", _AGAIN))
    wanted = {topic for check in checks for topic in check.topics}
    return [found[topic] for topic in TOPICS if topic in wanted]


_AGAIN: Final = "Run `idtone doctor` again when the machine has less to do; else look whether a disk or a mount hangs"


def _look(exam: Exam, check: Check, told: queue.SimpleQueue[_Told]) -> None:
    seen: set[str] = set()
    why = "the check told nothing of it"
    try:
        for finding in check.look(exam):
            seen.add(finding.topic)
            told.put((check, finding))
    except Exception as error:
        # The text of an error may hold what nobody may read here; where it arose says enough.
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = f"the check crashed: {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
    for topic in check.topics:
        if topic not in seen:
            told.put((check, unknown(topic, why, "Report this as a fault of idtone")))
    told.put((check, None))
