"""Builds the dialplan hook from the settings."""

import math
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from idtone import dialplan
from idtone.core.calls import Direction, Party
from idtone.core.decision import Policy
from idtone.core.errors import UsageError
from idtone.core.settings.policy import CallerHears, PolicySettings
from idtone.core.settings.settings import Settings
from idtone.tones.notations.indications import to_asterisk
from idtone.tones.profile_library import ProfileLibrary


def hook_for(settings: Settings, library: ProfileLibrary) -> dialplan.Hook:
    """Build this version's hook for the given settings and profiles.

    Raises UsageError if `agi.listen` is a Unix socket and `idtone-agi` is not installed.
    """
    notice = library.named(Policy().notice_profile)
    tones = dialplan.Notice(to_asterisk(notice), notice.duration_ms)
    policy = settings.policy
    asking = dialplan.RequestParameters(
        settings.interface,
        _asking(settings),
        settings.agi_secret(),
        policy.waiting,
        policy.overload,
        settings.fleet.trunks,
        settings.node,
        policy.diversion_trunks,
        policy.identity_trunks,
        policy.emergency_trunks,
        policy.unreadable,
    )
    return dialplan.hook(
        settings.sounds.directory,
        settings.journal_directory(),
        tones,
        asking,
        fallback_parameters(settings.policy),
        _canary(settings, library),
    )


CANARY_AFTERWARDS_S: Final = 2
"""How long the canary's answering leg keeps recording after the longest sound, in seconds."""


def canary_listens_s(library: ProfileLibrary) -> int:
    """Recording time of the canary's answering leg in seconds, longer than any possible sound."""
    longest_ms = max(profile.duration_ms for profile in library.for_calls())
    return math.ceil(longest_ms / 1000) + CANARY_AFTERWARDS_S


def _canary(settings: Settings, library: ProfileLibrary) -> dialplan.Canary | None:
    if not settings.canary.exported:
        return None
    return dialplan.Canary(settings.canary_directory(), canary_listens_s(library))


def fallback_parameters(settings: PolicySettings) -> dialplan.FallbackParameters:
    """The hook's parameters for calls while the service is down."""
    policy = settings.policy(None)
    incoming, outgoing = (
        dialplan.parties_word(tuple(party for party in Party if party in policy.notify[direction]))
        for direction in (Direction.INCOMING, Direction.OUTGOING)
    )
    answer_first = settings.caller_hears is CallerHears.ANSWERED
    return dialplan.FallbackParameters(settings.fallback, policy.refuse_cause, incoming, outgoing, answer_first)


def _asking(settings: Settings) -> str:
    """Text before the entry point in `AGI(…)`: an address, or the program that connects to a Unix socket."""
    if not isinstance(settings.agi.address(), Path):
        return f"agi://{settings.agi.listen}/"
    program = shutil.which("idtone-agi", path=os.pathsep.join((str(Path(sys.executable).parent), os.defpath)))
    if program is None:
        raise UsageError("agi.listen is a Unix socket, but idtone-agi, which Asterisk runs for it, is not installed")
    return f"{program},{settings.agi.listen},"
