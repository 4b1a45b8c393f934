"""Loading a registry, and reloading it while the service runs."""

import logging
import os
import threading
from importlib import resources
from pathlib import Path

import pytest

from idtone.core.errors import DocumentError
from idtone.core.numbers import parse
from idtone.registry.sources import FileSource, load_registry, read_document
from lab.core.fake_registry import NOW
from lab.registry.examples import GOOD, faults_of, replace_in_good

NEWER = replace_in_good("version: 42", "version: 43")
FAULTY = replace_in_good("0312340001", "0312345650")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def replace(file: Path, text: str) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def version(source: FileSource) -> int | None:
    return source.current.version if source.current else None


def test_loading_raises_every_fault_in_order_of_place(file):
    file.write_text(FAULTY.replace("version: 42", "version: 0").replace("status: active", "status: on"))
    with pytest.raises(DocumentError) as caught:
        load_registry(file)
    assert [fault.line for fault in caught.value.faults] == [1, 11]
    with file.open("r+b") as large:
        large.truncate(100 * 1024 * 1024)
    with pytest.raises(DocumentError, match="is larger than"):
        load_registry(file)


def test_without_its_file_the_last_good_generation_stays_or_there_is_none(file, caplog):
    source = FileSource(file)
    for good in (False, True):
        if good:
            file.write_text(GOOD, encoding="utf-8")
            assert source.refresh()
        file.unlink()
        caplog.clear()
        for _ in range(2):
            assert not source.refresh()
        [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert f"{file}: cannot be read" in record.message
        assert record.message.endswith("Version 42 stays in use") == good
        assert version(source) == (42 if good else None)


def test_a_pipe_in_place_of_the_file_does_not_block(file, caplog):
    source = FileSource(file)
    source.refresh()
    file.unlink()
    os.mkfifo(file)
    assert not source.refresh()
    assert version(source) == 42
    assert f"{file}: it is not a regular file. Put the registry's file there. Version 42 stays in use" in caplog.text


def test_the_sample_registry_is_good():
    with resources.as_file(resources.files("idtone.config") / "registry.yaml") as path:
        assert read_document(path).tones[0].id == "sample"
        assert load_registry(path).holding(parse("0312345678"), NOW)


def test_a_new_generation_is_taken_once_even_if_it_keeps_time_and_size(file):
    source = FileSource(file)
    assert source.current is None
    assert (source.refresh(), version(source)) == (True, 42)
    first, status = source.current, file.stat()
    assert not source.refresh()
    assert source.current is first
    replace(file, NEWER)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    assert [source.refresh(), version(source), source.refresh()] == [True, 43, False]


def test_a_faulty_file_changes_nothing_and_is_logged_once(file, caplog):
    source = FileSource(file)
    source.refresh()
    replace(file, FAULTY)
    with caplog.at_level(logging.ERROR):
        assert [source.refresh(), source.refresh(), version(source)] == [False, False, 42]
    [record] = caplog.records
    assert f"{file}:20:9: members[1].numbers[0]: overlaps" in record.message
    assert record.message.endswith("Version 42 stays in use")
    assert "12345" not in record.message
    replace(file, NEWER)
    assert source.refresh()
    assert version(source) == 43


def test_the_log_shows_a_few_of_many_faults(file, caplog):
    file.write_text("\n".join(f"key{n}: 1" for n in range(50)))
    assert len(faults_of(file.read_text())) > 50
    assert not FileSource(file).refresh()
    [record] = caplog.records
    assert record.message.count("is not a known key") <= 5
    assert "more faults" in record.message
    assert record.message.endswith("There is no registry, so no licence is valid")


def test_threads_take_a_generation_once_and_never_partly(file):
    source = FileSource(file)
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda: taken.append(source.refresh())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]
    assert version(source) == 42
