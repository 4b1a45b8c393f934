"""Call control for both interfaces, with evidence in memory."""

from datetime import timedelta

from idtone.call_control import journal_lines
from idtone.call_control.call_control import CallControl
from idtone.core.decision import Policy
from idtone.tones.making.sound_files import Sound
from lab.call_control.memory_evidence import MEMBER, NOW, MemoryEvidence, registry

CALL, NONCE = "1795000000.1-1", "123456789987"
OLD_CHANNEL = "1785000000.1"
"""A channel that is older than call control. `CALL` has a younger one."""
REQUESTED = (
    f"{NOW.timestamp():.6f}", "%2B81%203%2D1234%2D5678", "incoming", "0312340000", "PJSIP%2F0312340000%40trunk",
    "050%2D1234%2D5678", "PJSIP%2F6001%2D0000002a", "A%2D1",
)  # fmt: skip
"""IDTONE_REQUEST, in the format of the hook."""


def call_control(sounds: dict[str, Sound], evidence: MemoryEvidence) -> CallControl:
    """Call control with the default policy, assembled as in the service."""
    return CallControl(registry, Policy(member=MEMBER), sounds, evidence, sounds, now=lambda: NOW)


async def no_journal() -> None:
    """Read nothing, as from a journal without lines."""


def end(calls: CallControl, call_id: str, nonce: str) -> None:
    """Process the hook's line for the end of a call in which the called party was busy."""
    at = NOW + timedelta(seconds=5)
    calls.record_journal_line(
        journal_lines.read(f"ended,{call_id},{nonce},{at.timestamp():.6f},BUSY,17,licence-valid,BUSY,")
    )
