"""Runs checks in parallel with a common deadline.

A check that crashes or hangs becomes a finding and does not stop the others.
"""

import queue
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from idtone.core.translation import Message

from .check_inputs import CheckInputs
from .checks import Check
from .findings import TOPICS, Finding, unknown

DEADLINE_S: Final = 8.0
"""Seconds for all checks together. The steps of a check have shorter deadlines."""
POLL_S: Final = 0.1

_Result = tuple[Check, Finding | None]
"""A check with one of its findings, or with None when it is finished."""


def run(
    inputs: CheckInputs,
    checks: Sequence[Check],
    deadline_s: float = DEADLINE_S,
    waiting: Callable[[Collection[str]], None] = lambda topics: None,
) -> list[Finding]:
    """Run checks in parallel, and return one finding per topic in the order of `TOPICS`.

    `waiting` receives the unfinished topics. The threads of hung checks run until the process ends.
    """
    results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
    for check in checks:
        threading.Thread(
            target=_look, args=(inputs, check, results), name=f"doctor-{check.topics[0]}", daemon=True
        ).start()
    pending = list(checks)
    found: dict[str, Finding] = {}
    end_s = time.monotonic() + deadline_s
    while pending and time.monotonic() < end_s:
        waiting([topic for check in pending for topic in check.topics if topic not in found])
        try:
            check, finding = results.get(timeout=POLL_S)
        except queue.Empty:
            continue
        if finding is None:
            pending.remove(check)
        else:
            found[finding.topic] = finding
    for check in pending:
        for topic in check.topics:
            found.setdefault(
                topic,
                unknown(topic, Message("the check did not end within {deadline_s:g} s", deadline_s=deadline_s), _AGAIN),
            )
    wanted = {topic for check in checks for topic in check.topics}
    return [found[topic] for topic in TOPICS if topic in wanted]


_AGAIN: Final = Message(
    "Run `idtone doctor` again when the machine is less busy; if that fails, check for a disk or mount that hangs"
)


def _look(inputs: CheckInputs, check: Check, results: queue.SimpleQueue[_Result]) -> None:
    seen: set[str] = set()
    why = Message("the check gave no finding")
    try:
        for finding in check.look(inputs):
            seen.add(finding.topic)
            results.put((check, finding))
    except Exception as error:
        # The text of the error may contain a secret or a number, so only its type and place are shown.
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = Message(
            "the check crashed: {error} in {file}, line {line}",
            error=type(error).__name__,
            file=Path(place.filename).name,
            line=place.lineno,
        )
    for topic in check.topics:
        if topic not in seen:
            results.put((check, unknown(topic, why, Message("Report this as a bug of idtone"))))
    results.put((check, None))
