"""Places a canary call through the trunk, and waits for its record and recording.

Numbers are passed to Asterisk in a request body or in a file that other users cannot read, never on a command line.
"""

import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from idtone import dialplan
from idtone.core.errors import LedgerError, RecordingError, UsageError
from idtone.core.settings.canary import Answered, CanarySettings
from idtone.core.settings.settings import Interface, Settings
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import CANARY, FIRST
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.tones.profile import Profile
from idtone.tones.recordings.read_recording import read_recording
from idtone.tones.recordings.recorded_leg import RecordedLeg
from idtone.tones.verification.verifier import Verifier

from ..originate_call import place_channel
from .judge_canary import PlacedCall, ReceivedRecording

POLL_S: Final = 0.2
AFTERWARDS_S: Final = 8.0
"""Maximum time in seconds until the record reaches the ledger after a call ends."""
_QUIET_S: Final = 0.3
"""Seconds of silence added at both ends of the recording. A telephone is silent before the first packet and after the
last."""
_NOISE: Final = 16 / 32768
"""Level below which samples count as silence, because A-law's smallest values are not zero."""
_SETTLES: Final = 20
_CALL_FILE_MODE: Final = 0o640

Waiting = Callable[[], None]


def place(settings: Settings, listens_s: int, waiting: Waiting = lambda: None) -> PlacedCall:
    """Place a canary call, and wait until its record is complete.

    `listens_s` is how long the answering leg records, in seconds. Raises UsageError, AriError, DocumentError and
    LedgerError.
    """
    canary = settings.canary
    for name in (dialplan.CANARY_ARRIVED, dialplan.CANARY_RETURNED):
        _recording(settings, name).unlink(missing_ok=True)
    search = _Search(settings.ledger.own_url())
    at, began_s = datetime.now(UTC), time.monotonic()
    if settings.interface is Interface.AGI:
        _by_call_file(canary)
    else:
        _by_ari(settings)
    end_s = began_s + canary.timeout.total_seconds() + 2 * listens_s + AFTERWARDS_S
    record = None
    while time.monotonic() < end_s:
        time.sleep(POLL_S)
        waiting()
        record = search.look()
        if record and record.complete:
            break
    lasted_s = time.monotonic() - began_s
    return PlacedCall(at, lasted_s, (datetime.now(UTC) - at).total_seconds() - lasted_s, record)


def _variables(canary: CanarySettings) -> dict[str, str]:
    values = (
        canary.dial_string,
        canary.forwarding_number,
        canary.direction.value,
        str(round(canary.timeout.total_seconds())),
        canary.called_number,
    )
    names = (f"__{dialplan.CANARY_PREFIX}{name}" for name in dialplan.CANARY_VARIABLES)
    return {name: value or "" for name, value in zip(names, values, strict=True)}


def _by_ari(settings: Settings) -> None:
    body = {
        "endpoint": f"Local/s@{dialplan.CANARY_CONTEXT}/n",
        "context": dialplan.CANARY_CONTEXT,
        "extension": dialplan.CANARY_LISTEN,
        "priority": 1,
        "timeout": _patience_s(settings.canary),
        "formats": "slin",  # the format of the recording, so that the call needs no codec
        "variables": _variables(settings.canary),
    }
    place_channel(settings.ari, settings.ari.secret(), body)


def _patience_s(canary: CanarySettings) -> int:
    """Seconds for which the Local channel rings, which is longer than the trunk rings."""
    return round(canary.timeout.total_seconds()) + 10


def _by_call_file(canary: CanarySettings) -> None:
    lines = (
        f"Channel: Local/s@{dialplan.CANARY_CONTEXT}/n", f"WaitTime: {_patience_s(canary)}", "MaxRetries: 0",
        f"Context: {dialplan.CANARY_CONTEXT}", f"Extension: {dialplan.CANARY_LISTEN}", "Priority: 1",
        *(f"Setvar: {name}={value}" for name, value in _variables(canary).items()),
    )  # fmt: skip
    path = canary.spool / f"idtone-canary-{secrets.token_hex(4)}.call"
    try:
        # In one write and without a rename: Asterisk takes a file when its writer closes it, whatever its name is, and
        # the unit can rename nothing into this folder. Asterisk's group reads it, and may remove it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _CALL_FILE_MODE)
        try:
            os.write(descriptor, ("\n".join(lines) + "\n").encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UsageError(
            "{folder}: no call file can be written there: {reason}; see canary.spool, and give Asterisk's group "
            "the right to write",
            folder=canary.spool,
            reason=error.strerror,
        ) from error


class _Search:
    """Finds the next canary call's record among newly written steps.

    It ignores the times of the steps, because a clock can be set back. Raises LedgerError on creation if the ledger
    cannot be read.
    """

    def __init__(self, url: str) -> None:
        """Find the newest step.

        Raises LedgerError if the ledger cannot be read, because an earlier call could then be mistaken for the next
        one.
        """
        self._url = url
        self._call_id = ""
        with LedgerReader.open(url) as reader:
            self._place = reader.newest_place()

    def look(self) -> Record | None:
        """The call's current record; None if it has no step yet."""
        with suppress(LedgerError), LedgerReader.open(self._url) as reader:
            newest = reader.newest_place()
            for step in reader.steps_in_order(self._place, newest, FIRST):
                if json.loads(step.details).get(CANARY):
                    self._call_id = step.call_id
            self._place = newest
            return reader.record(self._call_id) if self._call_id else None
        return None


# -- what arrived ---------------------------------------------------------------------------------------------------


def _recording(settings: Settings, name: str) -> Path:
    return settings.canary_directory() / f"{name}.sln"


def received_recording(settings: Settings, profile: Profile) -> ReceivedRecording | None:
    """The answering leg's recording with the verifier's report; None if the leg was not reached."""
    here = settings.canary.answered is Answered.HERE
    path = _recording(settings, dialplan.CANARY_ARRIVED if here else dialplan.CANARY_RETURNED)
    try:
        _settle(path)
        (leg,) = read_recording(path, notice=lambda _: None)
    except (RecordingError, OSError, ValueError):
        return None
    silent = not np.any(np.abs(leg.samples) > _NOISE)
    return ReceivedRecording(Verifier(profile).verify_leg(_with_silence(leg)), silent, profile.level_dbm0)


def _settle(path: Path) -> None:
    """Wait until Asterisk has finished writing the recording.

    Raises FileNotFoundError.
    """
    before = -1
    for _ in range(_SETTLES):
        if before == (size := path.stat().st_size):
            return
        before = size
        time.sleep(POLL_S)


def _with_silence(leg: RecordedLeg) -> RecordedLeg:
    quiet = round(_QUIET_S * leg.sample_rate_hz)
    lost = tuple((first + quiet, end + quiet) for first, end in leg.lost)
    return RecordedLeg(leg.name, np.pad(leg.samples, quiet), leg.sample_rate_hz, lost)
