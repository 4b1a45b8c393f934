"""`idtone-sign` as one file that needs no installation."""

import asyncio
import json
import sys
import zipfile
from pathlib import Path

import pytest

from idtone.office.signing.zipapp_start import BUILT_FOR, LIBRARIES, unpack_libraries
from tools.signer_executable import build, lock_entries, needed_libraries

HERE = list(sys.version_info[:2])


def archive(path: Path, python: list[int], content: str = "first") -> Path:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(BUILT_FOR, json.dumps({"python": python}))
        made.writestr(f"{LIBRARIES}/one.py", content)
    return path


def test_the_libraries_of_each_archive_are_unpacked_once_for_this_user_alone(tmp_path):
    one, within = archive(tmp_path / "one.pyz", HERE), tmp_path / "cache"
    folder = unpack_libraries(one, within)
    (folder / "two.py").touch()
    assert unpack_libraries(one, within) == folder, "not again"
    assert sorted(path.name for path in folder.iterdir()) == ["one.py", "two.py"]
    assert {path.stat().st_mode & 0o077 for path in (within, folder.parent)} == {0}
    other = unpack_libraries(archive(tmp_path / "two.pyz", HERE, "second"), within)
    assert (other / "one.py").read_text() == "second"


def test_another_python_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"this file is for Python 3\.99, not 3\."):
        unpack_libraries(archive(tmp_path / "one.pyz", [3, 99]), tmp_path / "cache")


def test_each_library_of_the_archive_has_a_digest():
    entries = lock_entries()
    names = needed_libraries(entries)
    assert {"aiohttp", "cffi", "pydantic-core", "tuf", "yarl"} <= names
    assert all("--hash=sha256:" in entries[name] for name in names)
    assert not {"argon2-cffi", "numpy", "reportlab"} & names, "a holder needs no sounds, console or paper"


@pytest.mark.nightly
async def test_the_archive_runs_with_the_standard_library_alone(tmp_path):
    made = build(tmp_path)
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        made,
        "--no-browser",
        "--kept",
        tmp_path,
        stdout=asyncio.subprocess.PIPE,
        env={"LANG": "C.UTF-8", "HOME": str(tmp_path)},
    )
    assert program.stdout
    try:
        assert b"http://127.0.0.1:" in await program.stdout.readline()
    finally:
        program.terminate()
        await program.wait()
