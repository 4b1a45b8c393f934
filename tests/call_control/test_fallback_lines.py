"""The customers' lines as the hook reads them while the service is down."""

import hashlib
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.call_control import fallback_lines
from idtone.call_control.fallback_lines import FallbackLines, lines_text
from idtone.core.number_spans import NumberSpan
from idtone.dialplan import LINES_FILE
from idtone.registry.customer_lines.index import LinesIndex, compile_lines
from idtone.registry.customer_lines.lines_document import LineEntry, entry_of

DAY_S = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) - 9 * 3600


def table(*entries: Mapping[str, object]) -> LinesIndex:
    return compile_lines([entry_of(LineEntry.model_validate(entry)) for entry in entries])


def written(*entries: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """Sections of the file."""
    sections: dict[str, dict[str, str]] = {}
    for line in lines_text(table(*entries)).splitlines()[1:]:
        if line.startswith("["):
            section = sections.setdefault(line[1:-1], {})
        elif line:
            name, _, value = line.partition(" = ")
            section[name] = value
    return sections


def test_each_line_has_the_numbers_of_its_entries_and_of_its_customer():
    sections = written(
        {"customer": "c-1", "endpoints": ["6001"], "accounts": ["acme"], "numbers": ["0312345678", "031234570*"]},
        {"customer": "c-1", "numbers": ["0312345679"], "from": "2026-04-01"},
        {"customer": "c-2", "endpoints": ["6002", "6003"], "numbers": ["0312345680-0312345681"], "until": "2026-04-01"},
    )
    assert list(sections.pop("end")) == ["sha256", "complete"]
    assert sections == {
        "endpoints": {"6001": "6001:0", "6002": "6002:1", "6003": "6003:1"},
        "accounts": {"acme": "acme:0"},
        "line0": {"81312345678": "0", "81312345679": f"{DAY_S}", "8131234570x": "0"},
        "line1": {"81312345680": f"0:{DAY_S}", "81312345681": f"0:{DAY_S}"},
    }


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("Reception", "Reception"), ("a b", "a%20b"), ("受付", "%E5%8F%97%E4%BB%98"), ("i1/0312", "i1%2F0312"),
        ("10@from-x", "10%40from-x"), ("a=b;[c]", "a%3Db%3B%5Bc%5D"), ("it's(1)", "its1"), ("*7!~_.-", "*7!~_.-"),
    ],
)  # fmt: skip
def test_a_line_is_named_as_the_hook_s_request_has_it(name, there):
    """The name in the file is encoded by URIENCODE(), without the characters that FILTER() drops."""
    assert written({"endpoints": [name], "numbers": ["0312345678"]})["endpoints"] == {there: f"{there}:0"}


@pytest.fixture
def left(tmp_path: Path) -> FallbackLines:
    return FallbackLines(tmp_path)


ONE: Sequence[Mapping[str, object]] = ({"endpoints": ["6001"], "numbers": ["0312345678"]},)


def test_the_file_is_written_when_the_table_changes_or_the_file_does(left, tmp_path):
    path, now = tmp_path / LINES_FILE, table(*ONE)
    left.update(now)
    before = path.stat()
    assert stat.S_IMODE(before.st_mode) == 0o640
    assert path.read_text() == lines_text(now)
    left.update(now)
    left.update(table(*ONE))
    FallbackLines(tmp_path).update(now)
    assert path.stat().st_ino == before.st_ino, "nothing has changed"
    for change in (path.unlink, lambda: path.chmod(0o600), lambda: path.write_text("[end]\ncomplete = yes\n")):
        change()
        left.update(now)
        assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (lines_text(now), 0o640)
    for _ in range(2):
        left.remove()
        assert not path.exists()


def test_without_a_table_or_with_too_large_a_one_the_file_has_no_end(left, tmp_path, monkeypatch, caplog):
    """The hook then refuses outgoing calls."""
    path = tmp_path / LINES_FILE
    left.update(None)
    assert "[end]" not in path.read_text()
    assert not caplog.records
    monkeypatch.setattr(fallback_lines, "LINES_LIMIT", 4)
    left.update(table(*ONE))
    assert "6001" not in path.read_text()
    assert "need more than 4 entries" in caplog.text
    monkeypatch.undo()
    left.update(table(*ONE))
    entries, _, end = path.read_text().partition("[end]\n")
    assert end == f"sha256 = {hashlib.sha256(entries.encode()).hexdigest()}\ncomplete = yes\n"


def test_a_table_that_was_kept_is_the_same():
    before = table(*ONE)
    assert lines_text(LinesIndex.unpack(before.pack())) == lines_text(before)
    assert [[span for span, _ in spans] for spans in before.spans_of_groups()] == [[NumberSpan(*[81312345678] * 2)]]
