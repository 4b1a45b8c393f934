"""Commands show progress while they read a large registry, and ask nothing meanwhile."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from bench import office as bench
from bench.office import Office, commands, prepare
from idtone.core.settings.settings import PASSPHRASE
from idtone.core.terminal import command_line
from idtone.office.commands import COMMANDS
from idtone.registry import file_kinds, index
from idtone.registry.commands import app as registry
from lab.idtone_programs import PROGRAMS, program_of

WITHOUT_REGISTRY = {
    "key new", "publication new-registry", "history note", "never-originating list",
    "desk", "report list", "report show", "report close", "report overdue", "report stats", "report forget",
    "report reveal-reporter", "report new-key", "report take",
    "paper certificate", "refusal decide-basis", "refusal add", "refusal lift", "refusal list", "refusal new-key",
    "course show", "course print", "course take", "course list", "course forget",
    "duty list", "duty finish", "duty withdraw", "publication sign-page", "site serve",
    "application decline", "application handed-in", "application send-back",
    "evaluation enter-criteria", "evaluation forget", "evaluation observations", "evaluation withdraw",
}  # fmt: skip
"""Commands that read no registry or show no progress. `publication new-registry` writes a registry without members.
`history note` is covered by `publication publish --why`, which does the same. Commands that run until they are
stopped show no progress: the desk, the number service, the page of a holder.
"""


class Watch:
    """Records what a command read without showing progress, and what it asked while it showed progress."""

    def __init__(self, large: int) -> None:
        self.large, self.shown, self.silent, self.asked = large, 0, list[str](), list[str]()

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        assert not self.shown, "one spinner at a time"
        self.shown += 1
        try:
            yield
        finally:
            self.shown -= 1

    def read(self, how: str) -> None:
        if not self.shown:
            self.silent.append(how)


class Typed(io.StringIO):
    def __init__(self, text: str, watch: Watch) -> None:
        super().__init__(text)
        self.watch = watch

    def readline(self, *arguments: Any) -> str:
        line = super().readline(*arguments)
        if self.watch.shown:
            self.watch.asked.append(line)
        return line


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(bench, "APPLICATIONS", 20)
    monkeypatch.setattr(bench, "ENTRIES", 100)
    made = Office(tmp_path / "authority", 1_000, 10)
    prepare(made, 20, 20)
    return made


@pytest.fixture
def watch(office: Office, monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch(office.registry.stat().st_size // 2)
    parse, compiled = yaml.parse, index.compile_registry

    def parsed(text: Any, *arguments: Any, **named: Any) -> Any:
        if len(text) > made.large and "\nmembers:" in text:
            made.read("parses a registry")
        return parse(text, *arguments, **named)

    def indexed(document: Any) -> Any:
        made.read("makes an index")
        return compiled(document)

    monkeypatch.setattr(yaml, "parse", parsed)
    monkeypatch.setattr(index, "compile_registry", indexed)
    monkeypatch.setattr(command_line, "working", made.working)
    monkeypatch.setenv(PASSPHRASE, "of the test")
    return made


@pytest.mark.nightly
def test_each_command_that_reads_the_registry_shows_progress(office, watch, monkeypatch, capsys):
    found, tried = {}, set()
    for name, words, typed in commands(office):
        file_kinds._parsed.cache_clear()
        monkeypatch.setattr("sys.stdin", Typed(typed, watch))
        with pytest.raises(SystemExit) as ended:
            PROGRAMS[program_of(words)](list(map(str, words)))
        assert int(ended.value.code or 0) <= command_line.NEGATIVE, (name, capsys.readouterr())
        if name == "publication begin":
            office.keep_root()
        if watch.silent or watch.asked:
            found[name] = (*watch.silent, *watch.asked)
        watch.silent.clear()
        watch.asked.clear()
        tried |= {" ".join(map(str, words[:length])) for length in (1, 2)}
    assert found == {}
    every = COMMANDS.keys() | {f"registry {name}" for name in typer.main.get_command(registry).commands}
    assert every - tried == WITHOUT_REGISTRY


def test_progress_is_shown_on_a_terminal_alone(monkeypatch, capsys):
    with command_line.working("checking"):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with command_line.working("checking"):
        pass
    out, error = capsys.readouterr()
    assert out == ""
    assert "checking …" in error
