"""Records acts, such as disclosures, through the ledger's only writer.

While the service runs, it is the writer. A command places the act as a file in a folder next to the ledger, and the
service records the act and removes the file. Only the service's user may use the folder. Files that belong to other
users are ignored.

The writer checks each act against its own settings. The checks are `disclosure_request.objection`,
`disclosures.receipt_objection`, `number_openings.opening_objection` and `EndsGivenUp.objection`. If an act gives up the
end of a log, the writer also reads the logs.
"""

import asyncio
import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError, LedgerInUseError

from ..evidence.act_ids import new_act_id
from ..evidence.evidence import Evidence
from ..evidence.leaves import ACT_ID, KEEPERS_ACTS
from ..evidence.log_ends_given_up import EndsGivenUp
from ..evidence.steps import Step, StepKind
from ..keys.key_ring import KeyRing
from ..keys.private_files import replace_private
from ..store.ledger_reader import LedgerReader
from ..store.sqlite import path_of
from ..writing.earlier_log_ends import give_up_objection, lost_end
from ..writing.ledger_writer import LedgerWriter
from .disclosure_request import DisclosureRules, objection, requests
from .disclosures import disclosures_in, receipt_objection
from .number_openings import opening_objection

LOOK_EVERY_S: Final = 0.25
"""Interval in seconds at which the service looks for acts. Each check wakes a machine that may be idle."""
ASK_EVERY_S: Final = 0.02
"""Interval in seconds at which a command checks whether its act was recorded. It is short because a person is waiting.
"""
LOOK_AGAIN_S: Final = 0.5
RECORDED_WITHIN_S: Final = 10.0
"""Time in seconds that a command waits for the service."""
_SUFFIX: Final = ".act"
_REFUSED: Final = ".refused"
_UNUSABLE: Final = (LedgerError, OSError, ValueError, KeyError, TypeError)

_log = logging.getLogger(__name__)


def record_act(url: str, node: str, key_ring: KeyRing, make: Callable[[str], Step], rules: DisclosureRules) -> str:
    """Record an act durably in the ledger, and return its id.

    `make` creates the step from the id. While the service runs, the service's rules apply instead of `rules`. Raises
    LedgerError if the act is not allowed or cannot be recorded. The caller must not carry out an act that was not
    recorded.
    """
    step = make(new_act_id())
    try:
        with LedgerWriter.open(url, node, key_ring) as writer, _ending(step, key_ring):
            _admit(url, step, rules, key_ring)
            _write(step, writer)
    except LedgerInUseError:
        _ask_the_service(url, step)
    return step.call_id


def _write(step: Step, evidence: Evidence) -> None:
    written = evidence.append(step)
    evidence.hurry()
    written.result()


def _admit(url: str, step: Step, rules: DisclosureRules, ring: KeyRing | None) -> bool:
    """True if the step must be written; False if the ledger already has it. Raises LedgerError if it is not allowed."""
    with LedgerReader.open(url) as reader:
        why, record = None, reader.record(step.call_id)
        if record is None and step.kind is StepKind.NUMBERS_OPENED:
            why = opening_objection(step)
        elif record is None and step.kind is not StepKind.DUTY:
            acts, now = reader.acts(), datetime.now(UTC)
            if step.kind is StepKind.END_GIVEN_UP:
                why = EndsGivenUp.of(acts).objection(step, rules.two_persons) or _end_objection(url, step, ring)
            else:
                why = objection(step, requests(acts), rules, now) or receipt_objection(step, disclosures_in(acts), now)
    if record and record.steps != (step,):
        why = "there is another act by this id already"
    if why:
        raise LedgerError("this is not recorded: {why}", why=why)
    return record is None


def _end_objection(url: str, step: Step, ring: KeyRing | None) -> str | None:
    """Reason why this node cannot give up the end that the act names; None if it can.

    Raises LedgerError if the logs cannot be read.
    """
    origin, *said = (step.details[name] for name in ("origin", "leaves", "root", "signed"))
    following = next((each for each in ring.successor_trees.unsigned if each.after == origin), None) if ring else None
    if ring is None or following is None:
        return f"the end of {origin} does not wait for a signature here"
    _, *known = lost_end(following, ring, path_of(url))
    if said != known:
        return f"{origin} has ended with other leaves, or with others signed"
    return give_up_objection(following, ring, path_of(url))


def _ending(step: Step, ring: KeyRing | None) -> AbstractContextManager[object]:
    """The lock to hold until the act is recorded, which keeps a key from signing an end that the act gives up."""
    return ring.successor_trees.ending if ring and step.kind is StepKind.END_GIVEN_UP else nullcontext()


def _is_recorded(url: str, act_id: str) -> bool:
    with LedgerReader.open(url) as reader:
        return reader.knows(act_id)


def _ask_the_service(url: str, step: Step) -> None:
    path = _folder(url) / f"{step.call_id}{_SUFFIX}"
    request = {"id": step.call_id, "kind": step.kind, "at": step.at.isoformat(), "details": dict(step.details)}
    try:
        replace_private(path, json.dumps(request).encode())
    except OSError as error:
        raise LedgerError(
            "{parent}: cannot be written: {reason}; run this as the user that `idtone serve` runs as",
            parent=path.parent,
            reason=error.strerror,
        ) from error
    deadline_s = time.monotonic() + RECORDED_WITHIN_S
    while time.monotonic() < deadline_s:
        time.sleep(ASK_EVERY_S)
        if _is_recorded(url, step.call_id):
            return
        if path.with_suffix(_REFUSED).exists():
            raise LedgerError("the service refuses to record this; its log says why")
    path.unlink(missing_ok=True)
    time.sleep(LOOK_EVERY_S)  # the service may be writing it at this moment
    if not _is_recorded(url, step.call_id):
        raise LedgerError(
            "the service has not recorded this within {recorded_within_s:g} s; see its log, and try again. "
            "If it has read it and is still to write, the act {call_id} will be in the ledger, and was not done",
            recorded_within_s=RECORDED_WITHIN_S,
            call_id=step.call_id,
        )


async def record_queued_acts(
    url: str, evidence: Evidence, rules: DisclosureRules, key_ring: KeyRing | None = None
) -> None:
    """Record acts that commands queue for the service, until cancelled.

    Without `key_ring`, acts that give up the end of a log are refused because they cannot be checked.
    """
    folder, seen, looked_s = _folder(url), 0, -math.inf
    while True:
        changed = _changed_ns(folder)
        # The time of a folder may be too coarse to tell two changes apart, and unrecorded acts are tried again.
        if changed != seen or time.monotonic() - looked_s >= LOOK_AGAIN_S:
            seen, looked_s = changed, time.monotonic()
            await asyncio.to_thread(_record_all, url, evidence, rules, key_ring)
        await asyncio.sleep(LOOK_EVERY_S)


def _changed_ns(folder: Path) -> int:
    """The time at which a file was last added to or removed from the folder; 0 if there is no folder."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _record_all(url: str, evidence: Evidence, rules: DisclosureRules, ring: KeyRing | None = None) -> None:
    for path in sorted(_folder(url).glob(f"*{_SUFFIX}")):
        _record(path, url, evidence, rules, ring)


def _record(path: Path, url: str, evidence: Evidence, rules: DisclosureRules, ring: KeyRing | None) -> None:
    try:
        step = _read(path)
    except FileNotFoundError:
        return  # the command has taken it back
    except _UNUSABLE as error:
        _refuse(path, error)
        return
    with _ending(step, ring):
        try:
            is_new = _admit(url, step, rules, ring)
        except _UNUSABLE as error:
            _refuse(path, error)
            return
        try:
            if is_new:  # else an earlier instance ended before it could remove the file
                _write(step, evidence)
        except LedgerError:
            return  # the ledger has logged it; the command waits, and the next instance may be able to record it
    path.unlink(missing_ok=True)


def _refuse(path: Path, error: Exception) -> None:
    _log.error("%s: is not recorded: %s", path, error if isinstance(error, LedgerError) else type(error).__name__)
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path.with_suffix(_REFUSED))


def _read(path: Path) -> Step:
    with path.open(encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_uid not in (0, os.geteuid()):
            raise LedgerError("it was left by another user than the service's own")
        request = json.load(file)
    name = path.name.removesuffix(_SUFFIX)
    if request["kind"] not in KEEPERS_ACTS or request["id"] != name or not name.startswith(ACT_ID):
        raise LedgerError("it is not one of the acts of a ledger's keepers")
    return Step(request["id"], StepKind(request["kind"]), datetime.fromisoformat(request["at"]), request["details"])


def _folder(url: str) -> Path:
    path = path_of(url)
    return path.with_name(f"{path.name}.acts")
