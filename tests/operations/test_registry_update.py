"""`idtone registry update`: the files for Asterisk, the user of the process, and a run while a service runs."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.call_control.fallback_conf import End, UsableNumbers, end_of, read_remembered
from idtone.call_control.fallback_keeper import FallbackKeeper
from idtone.core.errors import TrustError
from idtone.dialplan import FALLBACK_FILE
from idtone.registry.sources import SignedSource
from idtone.registry.trust.publication_client import PublicationClient
from lab.asterisk import IDTONE
from lab.call_control.unix_users import ASTERISK_GROUP, SERVICE_GROUP, SERVICE_USER, needs_root, shared_folder
from lab.nightly_tests import rest_in_breadth
from lab.registry.examples import GOOD
from lab.registry.trust.association import STOPPED, Association, Machine
from lab.terminal import Terminal

STOPPED_NUMBER = "81312345677"
terminal = Terminal()


@pytest.fixture
def sounds(tmp_path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    return folder


@pytest.fixture
def association(tmp_path) -> Association:
    made = Association(tmp_path / "association")
    made.begin(datetime.now(UTC) - timedelta(days=5))
    return made


def settings(place: Path, sounds: Path, source: Path, trust: Path | str) -> Path:
    path = place / "idtone.yaml"
    path.write_text(
        f"registry: {{source: {source}, trust: {trust}, cache: {place / 'cache'}}}\nsounds: {{directory: {sounds}}}\n"
    )
    return path


def end(sounds: Path) -> End | None:
    return end_of((sounds / FALLBACK_FILE).read_bytes())


def written(sounds: Path) -> tuple[int, int]:
    """Inode and time of fallback.conf, which change when the file is rewritten."""
    status = (sounds / FALLBACK_FILE).stat()
    return status.st_ino, status.st_mtime_ns


def test_an_unsigned_registry(tmp_path, sounds):
    registry = tmp_path / "registry.yaml"
    registry.write_text(GOOD)
    config = settings(tmp_path, sounds, registry, "unsigned")
    told = terminal.json("registry", "update", "-c", config)
    assert (told["trust"], told["version"], told["fallback"]) == ("unsigned", 42, "written")
    assert STOPPED_NUMBER in read_remembered(sounds).suspended
    assert terminal.json("registry", "update", "-c", config)["fallback"] == "current"
    before = written(sounds)
    registry.write_text("registry: {")
    assert "registry.yaml:2:" in terminal.error("registry", "update", "-c", config)
    assert written(sounds) == before


@pytest.fixture
def config(tmp_path, sounds, association) -> Path:
    machine = Machine(association, tmp_path)
    return settings(tmp_path, sounds, association.repository, machine.trust)


def quietly(config: Path) -> None:
    assert terminal.output("registry", "update", "--quiet", "-c", config) == ""


def test_a_signed_registry(config, sounds, association):
    told = terminal.json("registry", "update", "-c", config)
    assert (told["trust"], told["suspensions"], told["fallback"]) == ("signed", 0, "written")
    association.write(suspensions=STOPPED)
    association.publish()
    quietly(config)
    assert read_remembered(sounds).suspended.keys() == {STOPPED_NUMBER}


def test_nothing_is_read_or_written_while_nothing_has_changed(config, sounds, monkeypatch):
    """The command runs once a minute, and reading a registry of a million numbers takes seconds."""
    quietly(config)
    before = written(sounds)
    with monkeypatch.context() as patch:
        patch.setattr("idtone.operations.registry_update.index_of", None)
        quietly(config)
    assert written(sounds) == before
    (sounds / FALLBACK_FILE).unlink()
    quietly(config)
    assert end(sounds)


def test_a_signature_that_was_renewed_is_kept(config, tmp_path, association):
    quietly(config)
    kept = (tmp_path / "cache" / "kept.json").read_bytes()
    association.publish()
    quietly(config)
    assert (tmp_path / "cache" / "kept.json").read_bytes() != kept


def test_a_file_that_is_lost_is_made_of_the_cache_while_the_source_is_unreachable(
    config, sounds, association, tmp_path, monkeypatch
):
    """The file also has new suspensions that the service already applies while it compiles the rest."""
    association.write(suspensions=STOPPED)
    association.publish()
    quietly(config)
    monkeypatch.setattr("idtone.registry.sources.LARGE", 10)
    source = SignedSource(Machine(association, tmp_path).repository(), 0.0)
    assert source.refresh()
    members = GOOD.partition("suspensions:")[0].replace("version: 42", "version: 43")
    association.write(members, STOPPED.replace("0312345677", "0312345601").replace("R-1", "R-2"))
    association.publish()
    assert source.refresh()
    (sounds / FALLBACK_FILE).unlink()
    association.repository.rename(association.repository.with_name("away"))
    assert "cannot be read" in terminal.error("registry", "update", "--quiet", "-c", config)
    assert read_remembered(sounds).suspended.keys() == {STOPPED_NUMBER, "81312345601"}
    before = written(sounds)
    terminal.error("registry", "update", "--quiet", "-c", config)
    assert written(sounds) == before


def test_a_machine_without_sounds_gets_the_registry_alone(config, sounds):
    sounds.rmdir()
    assert terminal.json("registry", "update", "-c", config)["fallback"] == "none"
    quietly(config)
    assert not sounds.exists()


PRELOADED = """
import _strptime, sys, tuf.api.serialization.json
sys.argv[0] = "idtone"
from idtone.cli import main
main()
"""
"""Program that runs `idtone` as a user who cannot read Python's files: it imports all modules first."""


@needs_root
@pytest.mark.parametrize("signed", [True, False])
def test_root_leaves_no_files_of_its_own(tmp_path, association, signed):
    with shared_folder() as sounds:
        place = sounds.parent
        place.chmod(0o755)
        os.chown(place, SERVICE_USER, SERVICE_GROUP)
        (place / "registry.yaml").write_text(GOOD)
        (place / "root.json").write_bytes(association.root().read_bytes())
        source = place / "registry.yaml"
        if signed:
            source = place / "published"
            subprocess.run(["cp", "-r", association.repository, source], check=True)
        config = settings(place, sounds, source, place / "root.json" if signed else "unsigned")
        command = [sys.executable, "-c", PRELOADED, "registry", "update", "--quiet", "-c", config]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
        status = (sounds / FALLBACK_FILE).stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (SERVICE_USER, ASTERISK_GROUP, 0o640)
        left = [path for folder in (place / "cache", sounds) for path in (folder, *folder.rglob("*")) if path.exists()]
        assert len(left) > (5 if signed else 1)
        assert {path.stat().st_uid for path in left} == {SERVICE_USER}
        assert (place / "cache").exists() is signed


@needs_root
def test_root_does_not_write_where_its_files_lock_the_service_out(config, association, tmp_path):
    """First, root owns an old lock.

    Then, the command does not become the service's user.
    """
    cache = tmp_path / "cache"
    cache.mkdir()
    os.chown(cache, SERVICE_USER, SERVICE_GROUP)
    (cache / ".lock").touch()
    assert f"chown -R {SERVICE_USER}: {cache}" in terminal.error("registry", "update", "-c", config)
    repository = PublicationClient(association.root(), str(association.repository), cache)
    with pytest.raises(TrustError, match=f"sudo -u {SERVICE_USER} idtone"), repository.locked():
        pass
    with pytest.raises(TrustError, match=f"sudo -u {SERVICE_USER} idtone"):
        repository.update()
    assert {path.name for path in cache.rglob("*")} == {".lock"}


@rest_in_breadth("stops", [4, 12])
def test_beside_a_running_service_no_older_registry_replaces_a_newer_one(config, sounds, association, tmp_path, stops):
    """The association suspends one number after the other.

    No suspended number disappears from the file, which both programs write.
    """
    machine = Machine(association, tmp_path)
    over = threading.Event()
    failed: list[BaseException] = []

    def serve() -> None:
        source = SignedSource(PublicationClient(machine.trust, machine.source, machine.cache), 0.0)
        fallback = FallbackKeeper(sounds, UsableNumbers(all=False, member=None), source.is_latest)
        while not over.is_set():
            source.refresh()
            fallback.update(source.current)

    def command() -> None:
        while not over.is_set():
            subprocess.run([IDTONE, "registry", "update", "--quiet", "-c", config], check=True)

    def watched(work) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)
                over.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    quietly(config)
    threads = [watched(work) for work in (serve, serve, command, command)]
    known = 0
    try:
        for count in range(1, stops + 1):
            entries = "".join(
                f"  - {{number: 03123456{2 * each:02}, since: 2026-11-02T00:00:00+09:00, reference: R}}\n"
                for each in range(count)
            )
            association.write(suspensions=f"issued: 2026-11-02T00:00:00+09:00\nsuspensions:\n{entries}")
            association.publish()
            while known < count and not over.is_set():
                found = len(read_remembered(sounds).suspended)
                assert found >= known
                known = found
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert known == stops


def test_a_service_that_starts_finds_the_generation_that_another_program_has_just_kept(tmp_path, association):
    """Another program replaces the files after the service has looked at the cache and before it reads them."""
    machine = Machine(association, tmp_path)
    machine.take()
    repository = machine.repository()
    kept = repository.last_good()
    association.write(suspensions=STOPPED)
    association.publish()
    machine.take()
    looks = iter([kept])
    repository.last_good = lambda: next(looks, None) or machine.repository().last_good()
    with pytest.raises(TrustError):
        kept.read("suspensions.yaml")
    association.repository.rename(association.repository.with_name("away"))
    source = SignedSource(repository, 1.0)
    assert source.refresh()
    assert len(source.current.suspensions) == 1
