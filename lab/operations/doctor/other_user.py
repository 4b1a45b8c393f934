"""Runs code as another user of the machine, who cannot read our files."""

import os
import traceback
from pathlib import Path

from idtone.call_control import fallback_keeper
from idtone.call_control.journal_reader import JournalFolder
from idtone.operations.doctor.shared_file_findings import Identity
from idtone.operations.doctor.write_trial import Place, trial


def run_as(user: int, group: int, groups: list[int], beside: Path, code: str, _: list[str]) -> None:
    """Become the user, and run `code`, in which `beside` is a name. Prints the traceback of an exception."""
    os.setgroups(groups)
    os.setgid(group)
    os.setuid(user)
    os.umask(0o027)
    names = {
        "fallback": fallback_keeper, "Identity": Identity, "Place": Place, "trial": trial, "beside": beside,
        "journal": JournalFolder(beside / "journal", beside),
    }  # fmt: skip
    try:
        exec(code, names)  # noqa: S102 — the code is the test's own
    except Exception:
        traceback.print_exc()
