"""The association's desk on the command line: a folder, keys beside it, and people who type."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idtone import console
from idtone.cli import app

PHRASE = "of the test"
BY = ("--by", "Desk A", "--why", "as asked")
BY_TWO = (*BY, "--confirmed-by", "Desk B")


@dataclass
class Office:
    folder: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @property
    def registry(self) -> Path:
        return self.folder / "registry.yaml"

    @property
    def suspensions(self) -> Path:
        return self.folder / "suspensions.yaml"

    def run(self, *arguments: object, typed: str = "") -> tuple[int, Any, str]:
        """Exit code, standard output (JSON where it was asked for) and standard error."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        try:
            console.run(lambda: app(["registry", *map(str, arguments)]))
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        shown = self.capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, json.loads(shown.out) if "--json" in arguments and shown.out else shown.out, shown.err

    def told(self, verb: str, *arguments: object, typed: str = "") -> Any:
        """What a verb that succeeds says of the folder, as JSON."""
        code, told, error = self.run(verb, self.folder, *arguments, "--json", typed=typed)
        assert code == 0, error
        return told

    def refused(self, verb: str, *arguments: object, typed: str = "") -> str:
        """What a verb says that cannot be; it has changed nothing."""
        before = self.state()
        code, out, error = self.run(verb, self.folder, *arguments, typed=typed)
        assert (code, out) == (2, ""), error
        assert self.state() == before
        return " ".join(error.split())

    def state(self) -> dict[str, bytes]:
        """Everything that lies in the folder."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.name != ".lock")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def key(self, name: str) -> Path:
        return self.folder.with_name("keys") / f"{name}.pem"

    def keys(self, *names: str) -> list[object]:
        return [word for name in names for word in ("--key", self.key(name))]

    def duty(self) -> list[object]:
        return self.keys("duty-1", "duty-2")

    def all_keys(self) -> list[object]:
        return self.keys("registry-1", "registry-3", "duty-1", "duty-2")
