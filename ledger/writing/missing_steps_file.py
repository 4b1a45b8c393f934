"""A file that records how many steps the ledger would lack if its writer died now."""

import json
import logging
import os
from pathlib import Path
from typing import Final

from ..keys.private_files import open_private
from .unwritten_steps import MissingSteps

LENGTH: Final = 512
"""Length of the file in bytes. It is constant so that the file can be written even if the disk is full."""

_log = logging.getLogger(__name__)


def missing_file(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".owed")


class MissingFile:
    """The ledger writer's open file, which counts unwritten steps.

    If the file cannot be written, the failure is logged, and evidence is written without it. Raises OSError on
    creation.
    """

    def __init__(self, ledger: Path) -> None:
        """Open the file next to `ledger`. Raises OSError."""
        self._path = missing_file(ledger)
        self._descriptor = open_private(self._path)
        self._said: MissingSteps | None = read_missing(ledger)
        if os.fstat(self._descriptor).st_size < LENGTH:
            self._write(None)

    @property
    def before(self) -> MissingSteps | None:
        """Unwritten steps according to the last `write` or, before that, the file's content when it was opened."""
        return self._said

    def write(self, owed: MissingSteps | None) -> None:
        """Write the count of unwritten steps to disk."""
        if owed != self._said:
            self._said = owed
            self._write(owed)

    def close(self) -> None:
        os.close(self._descriptor)

    def _write(self, owed: MissingSteps | None) -> None:
        text = json.dumps(owed.to_json()) if owed else ""
        try:
            os.pwrite(self._descriptor, text.encode().ljust(LENGTH - 1) + b"\n", 0)
            os.fdatasync(self._descriptor)
        except OSError as error:
            _log.error("%s: what is not yet in the ledger cannot be written down: %s", self._path, error.strerror)


def read_missing(ledger: Path) -> MissingSteps | None:
    """Read the count of missing steps from the file next to a ledger; None if no steps are missing.

    If the file cannot be read, this is logged.
    """
    path = missing_file(ledger)
    try:
        text = path.read_text("utf-8").strip() if path.exists() else ""
        return MissingSteps.parse(json.loads(text)) if text else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.error("%s: what is not in the ledger cannot be read: %s", path, type(error).__name__)
        return None
