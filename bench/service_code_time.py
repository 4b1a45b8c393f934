"""The processor time that the service's own code takes for a call, without Asterisk and without its sockets.

    python -m bench.service_code_time [--calls N] [--json]

Calls with a sound come in groups, as many as share a commit at 50 calls/s. The service decides each, from Asterisk's
event to the verdict; then it enters the lines of the journal, and the writer's thread writes the steps. In every second
round the processor's caches are overwritten before each event and before the lines of a group, as other processes
overwrite them while a service waits between two calls. Times are of this machine at this moment, so compare two
versions in turns.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from idtone.ari_app import events
from idtone.ari_app.application import AriApplication
from idtone.call_control.call_control import CallControl
from idtone.call_control.journal_intake import JournalIntake
from idtone.call_control.restored_calls import restored_calls
from idtone.call_control.sound_files import SoundFiles
from idtone.core.decision import Policy
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.pending_decisions import PendingDecisions
from idtone.service.call_counts import CallCounts
from idtone.tones.making.sound_files import install_sounds
from idtone.tones.profile_library import load_library
from idtone.tones.sound_file_contents import SoundFileContents
from lab.call_control import hook_lines
from lab.call_control.memory_evidence import CALLED, CALLER, LICENSED, MEMBER, registry

from .bench_output import options, report
from .ledger import key_ring

CALLS: Final = 4_000
GROUP: Final = 8
"""Number of calls that share a commit at 50 calls/s."""
ROUNDS: Final = 10
SOUND: Final = timedelta(milliseconds=441)
CHANNEL: Final = "PJSIP/trunk-0000002a"
CACHES: Final = b"1" * 2**25, bytearray(b"1" * 2**25)
"""Two buffers that together are larger than the processor's caches."""


def event(call_id: str, nonce: str, at: datetime) -> str:
    """Text of a StasisStart event, in the form that Asterisk sends."""
    from_outside = (LICENSED, "incoming", CALLED, f"PJSIP/{CALLED}@trunk", CALLER, CHANNEL)
    arguments = [
        "decide", call_id, nonce, hook_lines.hook_time(at), *map(hook_lines.encode_text, from_outside), "", "", "",
        hook_lines.encode_text("1-2345@192.0.2.1"), "",
    ]  # fmt: skip
    channel = {
        "id": call_id.rpartition("-")[0], "name": CHANNEL, "state": "Ring", "protocol_id": "1-2345@192.0.2.1",
        "caller": {"name": "", "number": CALLER}, "connected": {"name": "", "number": ""}, "accountcode": "",
        "dialplan": {"context": "idtone-forward", "exten": "s", "priority": 12, "app_name": "Stasis", "app_data": ""},
        "creationtime": "2026-11-01T00:00:00.000+0900", "language": "en",
    }  # fmt: skip
    return json.dumps({"type": "StasisStart", "args": arguments, "channel": channel, "application": "idtone"})


class _SilentAri:
    """An ARI connection that accepts every request."""

    async def request(self, method: str, path: str, **query: str | int) -> Any:
        return None


async def _no_journal() -> None:
    """A reader of a journal that has no lines."""


class ServiceCode:
    """The service's code for calls, with a real ledger and real sounds in a folder."""

    def __init__(self, folder: Path, resources: ExitStack) -> None:
        url, ring = f"sqlite:///{folder}/ledger.sqlite3", key_ring(folder)
        self._writer = LedgerWriter.open(url, "pbx-1", ring)
        pending = resources.enter_context(PendingDecisions.open(url, self._writer, ring.days))
        library = load_library(None)
        sounds = install_sounds(folder, library.for_calls(), SoundFileContents(folder, library).content)
        held = registry()
        self._calls = CallControl(
            lambda: held, Policy(member=MEMBER), sounds, CallCounts(pending), sounds, SoundFiles(sounds.values())
        )
        reader = LedgerReader.open(url)
        self._intake = JournalIntake(self._calls, reader.times, self._refused, partial(restored_calls, reader))
        self._placed = 0

    @staticmethod
    def _refused(lines: Iterable[str]) -> None:
        raise AssertionError(f"lines were refused: {lines}")

    async def run(self, groups: int, cold: bool = False) -> Mapping[str, float]:
        """Process groups of calls; returns the processor time in µs per call.

        With `cold`, the caches are overwritten first.
        """
        application = AriApplication(self._calls, _no_journal)
        application._ari = _SilentAri()  # type: ignore[assignment]
        took: dict[str, float] = dict.fromkeys(("event", "verdict", "answer", "journal"), 0.0)
        began_s, own_s = time.process_time(), time.thread_time()
        outside_s = 0.0
        for _ in range(groups):
            made_s = time.thread_time()
            at = datetime.now(UTC)
            placed = []
            for _ in range(GROUP):
                self._placed += 1
                placed.append((f"pbx-1-{int(at.timestamp())}.{self._placed}-1", f"{self._placed:012}"))
            texts = [event(call_id, nonce, at) for call_id, nonce in placed]
            lines = [line.encode() for each in placed for line in self._lines(*each, at)]
            outside_s += time.thread_time() - made_s
            for text in texts:
                outside_s += _overwrite_caches() if cold else 0.0
                times = [time.thread_time()]
                entered = events.read(text)
                times.append(time.thread_time())
                assert isinstance(entered, events.Entered)
                application._enter(entered)
                times.append(time.thread_time())
                await application.wait_for_requests()
                times.append(time.thread_time())
                for name, begin, end in zip(took, times, times[1:], strict=False):
                    took[name] += end - begin
            outside_s += _overwrite_caches() if cold else 0.0
            begin = time.thread_time()
            written = await self._intake.enter(lines)
            took["journal"] += time.thread_time() - begin
            self._writer.hurry()
            for each in written:
                each.result()
        assert not len(self._calls)
        whole_s = time.process_time() - began_s - outside_s
        took["writer"] = whole_s - (time.thread_time() - own_s - outside_s)
        took["whole"] = whole_s
        return {name: 1e6 * seconds / (groups * GROUP) for name, seconds in took.items()}

    @staticmethod
    def _lines(call_id: str, nonce: str, at: datetime) -> list[str]:
        later = at + SOUND
        return [
            hook_lines.sound_line(call_id, nonce, later, sent=22, since=at, codecs="(ulaw)/(ulaw)"),
            f"reported,{call_id},{nonce},{hook_lines.hook_time(later)},,same",
            hook_lines.end_line(call_id, nonce, later),
        ]


def _overwrite_caches() -> float:
    began_s = time.thread_time()
    first, second = CACHES
    assert first == second
    return time.thread_time() - began_s


def measure(calls: int) -> dict[str, float]:
    """Median processor time of a call in µs, over several rounds."""
    groups = max(1, calls // GROUP // ROUNDS)
    with tempfile.TemporaryDirectory(prefix="idtone-service-code-") as folder, ExitStack() as resources:
        code = ServiceCode(Path(folder), resources)
        asyncio.run(code.run(groups))  # objects that are made only once
        rounds = [(cold, asyncio.run(code.run(groups, cold))) for _ in range(ROUNDS) for cold in (False, True)]
    return {
        f"{name}_{'cold' if cold else 'warm'}_us": statistics.median(
            run[name] for is_cold, run in rounds if is_cold is cold
        )
        for cold in (False, True)
        for name in rounds[0][1]
    }


def main() -> None:
    chosen = options(__doc__, calls=CALLS).parse_args()
    report("the service's own code, a call", measure(chosen.calls), chosen.json)


if __name__ == "__main__":
    main()
