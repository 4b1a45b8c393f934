"""The journal of rolling upgrades, from which the next run continues.

The journal records each node's finished steps, with one JSON object per line:

- `{"at": …, "run": "begin", "nodes": […]}`
- `{"at": …, "node": "pbx-1", "step": "look", "before": {…}}`
- `{"at": …, "node": "pbx-1", "step": "install", "version": "0.2.0"}`
- `{"at": …, "node": "pbx-2", "step": "check", "fault": "…"}`
- `{"at": …, "run": "end"}`

It contains neither telephone numbers nor the output of commands.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from idtone.core.errors import UsageError
from idtone.core.files import writing

from .upgrade_rules import StateBefore, Step

Entry = dict[str, Any]


class UpgradeJournal:
    """The last run of a rolling upgrade, as recorded in its journal.

    Open it with `open_journal`.
    """

    def __init__(self, file: BinaryIO, entries: Sequence[Entry], now: Callable[[], datetime]) -> None:
        self._file, self._now = file, now
        self.entries = last_run(entries)

    @property
    def is_interrupted(self) -> bool:
        """True if an earlier run stopped before it was finished."""
        return bool(self.entries)

    @property
    def nodes(self) -> set[str]:
        return {name for entry in self.entries for name in entry.get("nodes", ())}

    @property
    def done(self) -> set[str]:
        """Names of the nodes that have been upgraded and put back into the dispatchers."""
        return {entry["node"] for entry in self.entries if entry.get("step") == Step.PUT_BACK and "fault" not in entry}

    @property
    def installed(self) -> str | None:
        """The version installed on the finished nodes; None if no node is finished."""
        done = self.done
        return next((entry["version"] for entry in self.entries if "version" in entry and entry["node"] in done), None)

    def before(self, node: str) -> StateBefore | None:
        """A node's state before the run; None if it was not recorded."""
        found = (entry["before"] for entry in self.entries if entry.get("node") == node and "before" in entry)
        return next(map(StateBefore.from_json, found), None)

    def begin(self, nodes: Sequence[str], afresh: bool = False) -> None:
        """Begin a run with the given nodes, or continue the run that stopped.

        If `afresh` is True, always begins a new run.
        """
        if afresh:
            self.entries = []
        self._add({"run": "go-on" if self.entries else "begin", "nodes": list(nodes)})

    def add(self, node: str, step: Step, **more: Any) -> None:
        """Record a node's finished step, or its failed step if `more` has a `fault`."""
        self._add({"node": node, "step": str(step), **more})

    def end(self) -> None:
        """Record that the run has ended and all its nodes are finished."""
        self._add({"run": "end"})

    def _add(self, entry: Entry) -> None:
        entry = {"at": self._now().isoformat(timespec="seconds"), **entry}
        with writing(self._file.name, UsageError):
            self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self.entries.append(entry)


@contextmanager
def open_journal(path: Path, now: Callable[[], datetime]) -> Iterator[UpgradeJournal]:
    """Open and lock the journal while the block runs, and create the file if it is missing.

    Raises UsageError if the file cannot be used or another run is using it.
    """
    try:
        file = path.open("a+b")
    except OSError as error:
        raise UsageError("{path}: cannot be opened: {reason}", path=path, reason=error.strerror) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("{path}: another upgrade of this fleet runs; wait for its end", path=path) from error
        file.seek(0)
        octets = file.read()
        if octets and not octets.endswith(b"\n"):  # the machine failed while it was written
            octets = octets[: octets.rfind(b"\n") + 1]
            file.truncate(len(octets))
        yield UpgradeJournal(file, list(_entries(octets, path)), now)


def _entries(octets: bytes, path: Path) -> Iterator[Entry]:
    for number, line in enumerate(octets.splitlines(), 1):
        try:
            entry = dict(json.loads(line))
            if "before" in entry:
                StateBefore.from_json(entry["before"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                "{path}:{line}: is not a line of a journal of upgrades; name another --journal, or remove it",
                path=path,
                line=number,
            ) from error
        yield entry


def last_run(entries: Sequence[Entry]) -> list[Entry]:
    """Entries of the last run; empty if that run has ended."""
    run: list[Entry] = []
    for entry in entries:
        if entry.get("run") in ("begin", "end"):
            run = []
        if entry.get("run") != "end":
            run.append(entry)
    return run
