"""Reading Asterisk's configuration files with the files that they include."""

from pathlib import Path

from idtone.operations.doctor import asterisk_config_files
from idtone.operations.doctor.asterisk_config_files import Line, lines_of


def test_where_each_line_is_from(tmp_path):
    (tmp_path / "extensions.conf").write_text("[a]\n#include more.conf ; mine\nexten = 1,1,NoOp()\n")
    (tmp_path / "more.conf").write_text("one\n#tryinclude <below/deep.conf>\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "deep.conf").write_text("deep")
    path = tmp_path / "extensions.conf"
    assert lines_of(path) == (
        [
            Line(path, 1, "[a]"),
            Line(tmp_path / "more.conf", 1, "one"),
            Line(tmp_path / "below" / "deep.conf", 1, "deep"),
            Line(path, 3, "exten = 1,1,NoOp()"),
        ],
        "",
    )
    assert asterisk_config_files.text(path) == ("[a]\none\ndeep\nexten = 1,1,NoOp()", "")


def test_how_an_include_names_files(tmp_path):
    (tmp_path / "more.conf").write_text("more")
    (tmp_path / "folder").mkdir()
    names = ("more.conf", '"more.conf"', "<more.conf>", "mo*.conf", f"{tmp_path}/more.conf")
    unfollowed = ("#include nothing.conf", "#include folder", "#exec /bin/true", ";#include more.conf")
    for line, text in [*((f"#include {name}\n", "more") for name in names), *zip(unfollowed, unfollowed, strict=True)]:
        (tmp_path / "a.conf").write_text(line)
        assert asterisk_config_files.text(tmp_path / "a.conf") == (text, ""), line


def test_files_that_include_each_other_end(tmp_path):
    (tmp_path / "a.conf").write_text("a\n#include b.conf\n")
    (tmp_path / "b.conf").write_text("b\n#include a.conf\n#include a.conf\n")
    text, trouble = asterisk_config_files.text(tmp_path / "a.conf")
    assert text
    assert trouble == ""
    assert text.count("a\n") <= asterisk_config_files.MOST_FILES


def test_a_missing_file_and_a_folder(tmp_path):
    assert lines_of(tmp_path / "nothing.conf") == (None, "")
    assert lines_of(tmp_path) == (None, "Is a directory")


def test_all_files_of_a_kind(tmp_path):
    (tmp_path / "queues.conf").write_text("one")
    (tmp_path / "queues_more.conf").write_text("two")
    (tmp_path / "other.conf").write_text("three")
    assert asterisk_config_files.files_like(tmp_path, "queues*.conf") == (
        [Line(tmp_path / "queues.conf", 1, "one"), Line(tmp_path / "queues_more.conf", 1, "two")],
        "",
    )
    assert asterisk_config_files.files_like(tmp_path, "followme*.conf") == ([], "")
    (tmp_path / "queues_folder.conf").mkdir()
    assert asterisk_config_files.files_like(tmp_path, "queues*.conf") == (None, "queues_folder.conf: Is a directory")
    assert asterisk_config_files.files_like(Path("/nowhere"), "*.conf") == ([], "")
