"""What the keepers of a ledger do with it, as records in it: by the service where it runs, which is the one writer.

A command leaves its record as a file in a folder beside the ledger; the service writes it and removes the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from idtone.errors import LedgerError, LedgerInUseError
from idtone.files import replace_durably

from .custody import Custody
from .leaves import ACTS
from .private_files import PRIVATE_FILE, make_parents
from .reader import LedgerReader
from .sqlite import path_of
from .steps import Step, StepKind
from .writer import LedgerWriter

LOOK_EVERY_S: Final = 0.3
RECORDED_WITHIN_S: Final = 10.0
"""How long a command waits for the service."""
_SUFFIX: Final = ".act"

_log = logging.getLogger(__name__)


class Evidence(Protocol):
    def append(self, step: Step) -> Future[None]: ...


def record_act(url: str, node: str, custody: Custody, make: Callable[[str], Step]) -> str:
    """Have an act recorded, durably; its id. `make` makes its step of that id.

    Raises LedgerError where nobody can: then it has not been recorded, and must not be done.
    """
    step = make(f"act-{secrets.token_hex(12)}")
    try:
        with LedgerWriter.open(url, node, custody) as writer:
            writer.append(step).result()
    except LedgerInUseError:
        _ask_the_service(url, step)
    return step.call_id


def _ask_the_service(url: str, step: Step) -> None:
    path = _folder(url) / f"{step.call_id}{_SUFFIX}"
    request = {"id": step.call_id, "kind": step.kind, "at": step.at.isoformat(), "details": dict(step.details)}
    try:
        make_parents(path)
        replace_durably(path, json.dumps(request).encode(), PRIVATE_FILE)
    except OSError as error:
        raise LedgerError(
            f"{path.parent}: cannot be written: {error.strerror}; run this as the user that `idtone serve` runs as"
        ) from error
    deadline_s = time.monotonic() + RECORDED_WITHIN_S
    while time.monotonic() < deadline_s:
        time.sleep(LOOK_EVERY_S / 3)
        with LedgerReader.open(url) as reader:
            if reader.record(step.call_id):
                return
    path.unlink(missing_ok=True)
    raise LedgerError(f"the service has not recorded this within {RECORDED_WITHIN_S:g} s; see its log, and try again")


async def record_requests(url: str, evidence: Evidence) -> None:
    """The service's side, for ever."""
    folder = _folder(url)
    while True:
        await asyncio.to_thread(_record_all, folder, evidence)
        await asyncio.sleep(LOOK_EVERY_S)


def _record_all(folder: Path, evidence: Evidence) -> None:
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        _record(path, evidence)


def _record(path: Path, evidence: Evidence) -> None:
    try:
        step = _read(path)
    except FileNotFoundError:
        return  # who left it has taken it back
    except (LedgerError, OSError, ValueError, KeyError, TypeError) as error:
        # It is set aside, and not read again and again.
        _log.error("%s: is not recorded: %s", path, error if isinstance(error, LedgerError) else type(error).__name__)
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, path.with_suffix(".refused"))
        return
    try:
        evidence.append(step).result()
    except LedgerError:
        return  # the ledger has told; who left it waits for a while, and the next instance may be able to
    path.unlink(missing_ok=True)


def _read(path: Path) -> Step:
    request = json.loads(path.read_text("utf-8"))
    if request["kind"] not in ACTS or request["id"] != path.name.removesuffix(_SUFFIX):
        raise LedgerError("it is not one of the acts of a ledger's keepers")
    return Step(request["id"], StepKind(request["kind"]), datetime.fromisoformat(request["at"]), request["details"])


def _folder(url: str) -> Path:
    path = path_of(url)
    return path.with_name(f"{path.name}.acts")
