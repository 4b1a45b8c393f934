"""`idtone lines …`, run as the command line runs it: no output has a complete number."""

import re
from pathlib import Path

import pytest

from idtone.core.errors import DocumentError
from idtone.core.settings.settings import load_settings
from idtone.service.commands import check_settings
from idtone.tones.profile_library import ProfileLibrary
from lab.registry.customer_lines.line_tables import GOOD
from lab.terminal import Terminal


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "numbers.yaml").write_text(GOOD)
    path = tmp_path / "idtone.yaml"
    path.write_text(f"lines: {{source: {tmp_path}/numbers.yaml}}\nregistry: {{source: /nowhere, trust: unsigned}}\n")
    return path


def assert_no_number(text: str) -> None:
    assert not re.search(r"[0-9]{9,}", text), text


def test_check(config):
    file, terminal = config.with_name("numbers.yaml"), Terminal()
    out = terminal.output("lines", "check", "-c", config)
    assert out.splitlines()[0] == f"{file}: good"
    assert terminal.json("lines", "check", file) == {
        "source": str(file), "good": True, "faults": [], "customers": 4, "lines": 7, "numbers": 1025, "entries": 7,
        "unchecked": 4,
    }  # fmt: skip
    file.write_text(GOOD.replace('"0751234567"', '"07512345"'))
    told = terminal.json("lines", "check", "-c", config, code=1)
    assert [(fault["line"], fault["field"]) for fault in told["faults"]] == [
        (10, "lines[1].numbers[0]"),
        (16, "lines[2].numbers[0]"),
    ]
    assert "2 faults" in terminal.output("lines", "check", file, code=1)
    assert "cannot be read" in terminal.error("lines", "check", file.with_name("missing.yaml"))
    config.write_text("")
    assert "customers' numbers are not checked" in terminal.error("lines", "check", "-c", config)


def test_show(config):
    terminal = Terminal()
    assert len(terminal.json("lines", "show", "-c", config)["entries"]) == 7
    (entry,) = terminal.json("lines", "show", "c-1", "-c", config)["entries"]
    assert (entry["endpoints"], entry["accounts"], entry["checked"]) == (["6001", "6002"], ["acme"], True)
    out = terminal.output("lines", "show", "-c", config)
    assert_no_number(out)
    assert "c-4          6401: …4501  (no check)" in out.splitlines()
    found = terminal.json("lines", "show", "--number", "-c", config, typed="0751234567\n")["entries"]
    assert [(each["customer"], each["from"], each["until"]) for each in found] == [
        ("c-2", "2026-03-31T15:00:00+00:00", "2026-11-09T15:00:00+00:00"),
        ("c-3", "2026-11-09T15:00:00+00:00", None),
    ]
    assert "no entry" in terminal.output("lines", "show", "--number", "-c", config, typed="0399999999\n", code=1)


@pytest.mark.parametrize(
    ("words", "number", "reason", "customer"),
    [
        (["--endpoint", "6001"], "03-1234-5678", None, "c-1"),
        (["--account", "acme"], "0312345678", None, "c-1"),
        (["--endpoint", "6001"], "0451234501", "number-of-another-customer", "c-1"),
        (["--endpoint", "nowhere", "--account", "x"], "0312345678", "line-unknown", None),
    ],
)
def test_decide(config, words, number, reason, customer):
    terminal, code = Terminal(), 1 if reason else 0
    told = terminal.json("lines", "decide", *words, "-c", config, typed=f"{number}\n", code=code)
    assert told == {"allowed": reason is None, "reason": reason, "customer": customer, "number": f"…{number[-4:]}"}
    assert_no_number(terminal.output("lines", "decide", *words, "-c", config, typed=f"{number}\n", code=code))


def test_the_settings_are_checked_with_the_table_but_without_a_database(config, monkeypatch):
    monkeypatch.setattr("idtone.service.commands.load_library", lambda _: ProfileLibrary(()))
    monkeypatch.setattr("idtone.service.commands.load_registry", lambda _: None)
    table = config.with_name("numbers.yaml")

    def checked(lines: str) -> None:
        pairs = (each.partition("=") for each in lines.split())
        named = {f"IDTONE_LINES_{key.upper()}": value for key, _, value in pairs}
        check_settings(load_settings(config, {"IDTONE_ARI_PASSWORD": "x", **named}))

    checked("")
    checked("source=mysql://nowhere/x query=freepbx")
    for lines, fault in (
        ("source=mysql://nowhere/x", "lines.query: is not set"),
        (f"source=mysql://nowhere/x query=freepbx password_file={table}.missing", "cannot be read"),
        (f"source={table}.missing", "cannot be read"),
    ):
        with pytest.raises(DocumentError, match=fault):
            checked(lines)
    table.write_text("lines: [{}]")
    with pytest.raises(DocumentError, match=r"lines\[0\]\.endpoints: is missing"):
        checked("")


def test_wrong_use(config):
    terminal = Terminal()
    assert "name the line" in terminal.error("lines", "decide", "-c", config)
    assert "cannot go together" in terminal.error("lines", "show", "c-1", "--number", "-c", config)
