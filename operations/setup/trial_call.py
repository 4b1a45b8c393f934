"""Places a trial call through the hook to an extension that records the sound.

The extensions are created on Asterisk's console and removed afterwards. The number is passed to Asterisk in a request
body, because other users could read it on a command line.
"""

import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.core.errors import AriError, ChangeError, UsageError
from idtone.core.settings.settings import AriSettings
from idtone.tones.profile import CALL_LIMIT_MS, Profile
from idtone.tones.verification.report import ToneVerdict

from ..asterisk_console import AsteriskConsole
from ..doctor import observe_asterisk
from ..originate_call import place_channel

NUMBER: Final = "IDTONE_TRIAL_NUMBER"
ENDING: Final = "IDTONE_TRIAL_ENDING"
AFTERWARDS_S: Final = 3
"""Seconds that the recording continues after the longest sound, until the parties are connected."""
PATIENCE_S: Final = 45.0
POLL_S: Final = 0.2
_RECORD: Final = "app_record"


@dataclass(frozen=True, slots=True)
class TrialCall:
    """The result of a trial call.

    `status` and `reason` come from the hook. `received` is the profile of the sound that the called extension received,
    or empty if it received none.
    """

    status: str
    reason: str
    received: str
    verdict: str


def place(
    ari: AriSettings,
    secret: str,
    console: AsteriskConsole,
    number: str,
    profiles: dict[str, Profile],
    waiting: Callable[[], None] = lambda: None,
) -> TrialCall:
    """Place a trial call, and wait for it to end.

    Raises UsageError if no call is possible, and AriError and ChangeError.
    """
    name = f"idtone-trial-{secrets.token_hex(4)}"
    spool = console.settings().get("Spool directory")
    if spool is None:
        raise UsageError("Asterisk does not say where its spool folder is")
    recording = Path(spool, f"{name}.sln")
    try:
        with _recorder(console), _extensions(console, name, recording, _listen_s(profiles.values())):
            ending = _ending(ari, secret, name, number, waiting)
        return _received(recording, ending, profiles)
    finally:
        recording.unlink(missing_ok=True)


def _listen_s(profiles: Iterable[Profile]) -> int:
    longest_ms = max((each.duration_ms for each in profiles if each.duration_ms <= CALL_LIMIT_MS), default=0)
    return math.ceil(longest_ms / 1000) + AFTERWARDS_S


@contextmanager
def _recorder(console: AsteriskConsole) -> Iterator[None]:
    if _RECORD in console.running():
        yield
        return
    console.run(f"module load {_RECORD}")
    if _RECORD not in console.running():
        raise UsageError("Asterisk cannot load {module}, which records the call", module=_RECORD)
    try:
        yield
    finally:
        with suppress(ChangeError):
            console.run(f"module unload {_RECORD}")


@contextmanager
def _extensions(console: AsteriskConsole, name: str, recording: Path, listen_s: int) -> Iterator[None]:
    """Provide the trial's two dialplan contexts while the block runs.

    Only the trial's channel may run the first one, whose `h` extension reads the hook's result.
    """
    ending = ":".join(f"${{IDTONE_{word}}}" for word in ("STATUS", "REASON"))
    contexts = {
        name: (
            f"call,1,Gosub(idtone-forward,s,1(Local/received@{name}-end/n,${{{NUMBER}}},incoming,30))",
            "call,2,Hangup()",
            f"h,1,Set(GLOBAL({ENDING})={name}:{ending})",
        ),
        f"{name}-end": (
            "received,1,Answer()",
            f"received,2,Record({recording},0,{listen_s},q)",
            "received,3,Hangup()",
            f"caller,1,Wait({PATIENCE_S:g})",
        ),
    }
    try:
        for context, extensions in contexts.items():
            for extension in extensions:
                console.run(f"dialplan add extension {extension} into {context}")
        yield
    finally:
        for context in contexts:
            with suppress(ChangeError):
                console.run(f"dialplan remove context {context}")


def _ending(ari: AriSettings, secret: str, name: str, number: str, waiting: Callable[[], None]) -> tuple[str, str]:
    body = {
        "endpoint": f"Local/call@{name}/n",
        "context": f"{name}-end",
        "extension": "caller",
        "priority": 1,
        "formats": "slin",  # the format of the recording, so that the call needs no codec
        "variables": {f"__{NUMBER}": number},
    }
    place_channel(ari, secret, body)
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        time.sleep(POLL_S)
        waiting()
        with suppress(AriError):
            own, _, words = observe_asterisk.variable(ari, secret, ENDING).partition(":")
            if own == name:
                status, _, reason = words.partition(":")
                return status, reason
    raise UsageError("the call did not end within {seconds:g} s; see Asterisk's log", seconds=PATIENCE_S)


def _received(recording: Path, ending: tuple[str, str], profiles: dict[str, Profile]) -> TrialCall:
    from idtone.tones.verification.verify_folder import (
        verify_file,  # with the libraries for sounds, which a node need not have
    )

    status, reason = ending
    if recording.exists():
        for name, profile in profiles.items():
            for _, report in verify_file(recording, profile).reports:
                if report.verdict in (ToneVerdict.CONFORMS, ToneVerdict.PRESENT):
                    return TrialCall(status, reason, name, report.verdict.value)
    return TrialCall(status, reason, "", "")
