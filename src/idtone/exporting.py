"""The hook as these settings make it, for those who write it and those who compare it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from . import dialplan
from .decision import Policy
from .errors import UsageError
from .settings import Settings
from .tones.library import Library
from .tones.notations.indications import to_asterisk


def hook_for(settings: Settings, config: Path | None, library: Library) -> dialplan.Hook:
    """The hook of this version, for these settings (read from `config`) and profiles."""
    notice = library.named(Policy().notice_profile)
    tones = dialplan.Notice(to_asterisk(notice), notice.duration_ms)
    policy = settings.policy
    return dialplan.hook(
        settings.sounds.directory, tones, settings.door, _asking(settings, config), policy.waiting, policy.overload
    )


def _asking(settings: Settings, config: Path | None) -> str:
    """What comes before the entry point in AGI(): an address, or where it is a Unix socket, the program for that."""
    if not isinstance(settings.agi.address(), Path):
        return f"agi://{settings.agi.listen}/"
    program = shutil.which("idtone-agi", path=os.pathsep.join((str(Path(sys.executable).parent), os.defpath)))
    if program is None:
        raise UsageError("agi.listen is a Unix socket, and idtone-agi, which Asterisk would run, is not installed")
    return f"{program},-c,{config.resolve()}," if config else f"{program},"
