"""The real Asterisk and PostgreSQL that the tests share. If one is missing, the run fails; no test is skipped."""

import contextlib
import gc
import importlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
from hypothesis.internal.conjecture import providers

from idtone.core import translation
from idtone.ledger.store.postgresql import Server
from idtone.tones.making.sound_files import Sound, ensure_sounds
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from lab.asterisk import Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.cached_folders import cached_folder
from lab.call_control.memory_evidence import MemoryEvidence
from lab.idtone_programs import cache_commands
from lab.packages import find_or_get_ffmpeg, sodium
from lab.postgresql import PostgreSQL, postgresql_programs
from lab.repository import ROOT
from lab.service import Service
from lab.shared_service import SharedService
from lab.site import chosen_site, make_reachable

# How long an example takes is a fact of the machine and of what runs beside it. Each run tries the same examples, and
# fails only for what was changed; `make fuzz` looks for new ones, also at the end of `make test-nightly`.
hypothesis.settings.register_profile("idtone", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.register_profile("search", deadline=None, max_examples=500)
hypothesis.settings.load_profile(os.environ.get("EXAMPLES", "idtone"))
if "EXAMPLES" not in os.environ:
    # Hypothesis also tries the constants of each module that is imported so far: the examples of a test would depend on
    # the files that run beside it, and each worker would parse the whole product.
    assert callable(providers._get_local_constants)
    providers._get_local_constants = providers.Constants

pytest.register_assert_rewrite("lab.calls")

# In English, for the programs that tests start too, whatever the machine's locale is.
os.environ["LANGUAGE"] = "en"

CALLS: Final = ROOT / "tests" / "calls"
LONGEST: Final = {
    ROOT / "tests" / name
    for name in (
        "calls/test_all_killed.py",
        "calls/test_sites.py",
        "calls/test_upgrade.py",
        "calls/test_walks.py",
        "console/browser/test_pages.py",
        "console/test_evidence.py",
        "console/test_office.py",
        "core/test_translation.py",
        "dialplan/test_hook.py",
        "ledger/commands/test_commands.py",
        "ledger/commands/test_log_keys.py",
        "ledger/keys/test_hardware_token_signer.py",
        "ledger/monitor/test_monitor.py",
    )
}
"""Files that were measured as long, although they have fewer calls or tests than others of their kind."""

sodium()  # the room for refused customers needs it when it is imported


def pytest_configure() -> None:
    Service.forks = True
    cache_commands()


def pytest_report_header() -> list[str]:
    """Lines for the head of the report: the site of the calls, and the conditions that this machine cannot provide."""
    site = chosen_site()
    return [f"site: {site}", *(f"LEFT OUT of the site: {each}" for each in site.left_out())]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collect the tests without garbage collection. It would take an eighth of the time, and imports and tests live
    until the end anyway.
    """
    gc.disable()
    try:
        _import_beginning_elsewhere(session.config)
        return (yield)
    finally:
        gc.enable()


def _import_beginning_elsewhere(config: pytest.Config) -> None:
    """Import the tests, starting at another file in each worker. In a fresh clone the workers would otherwise all
    compile the same files at the same time; this way each finds most files compiled.
    """
    if not (worker := getattr(config, "workerinput", None)):
        return
    files = sorted({file for name in config.args for file in _tests_in(ROOT / name.partition("::")[0], config)})
    first = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for file in (*files[first:], *files[:first]):
        with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection imports it again, and reports
            importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def _tests_in(path: Path, config: pytest.Config) -> Iterator[Path]:
    """Test files at `path`, without ignored ones."""
    ignored = [ROOT / each for each in config.getoption("ignore") or ()]
    for file in path.rglob("test_*.py") if path.is_dir() else [path]:
        if not any(file.is_relative_to(each) for each in ignored):
            yield file


@pytest.hookimpl(trylast=True)  # only of the tests that run
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the files so that the longest come first, and no worker waits for another at the end. After the files that
    were measured as long come those with many calls. Among the other tests, files with few tests come first, because
    these are mostly long.
    """
    if hasattr(config, "workerinput"):
        assert not {path for path in LONGEST if not path.is_file()}
        tests = Counter(item.path for item in items)
        items.sort(
            key=lambda item: (
                item.path not in LONGEST,
                tests[item.path] * (-1 if item.path.is_relative_to(CALLS) else 1),
            )
        )


def pytest_collection_finish() -> None:
    """Freeze the imported objects, so that the garbage collector does not examine them in each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """Check that no test leaves a language chosen. A test that needs one chooses it in a context."""
    yield
    assert translation._CHOSEN.get() is None


@pytest.fixture
def in_japan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the machine's time zone to Japan."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A temporary folder for the test, which the site's users can reach too."""
    make_reachable(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def installation() -> AsteriskInstallation:
    return chosen_site().installation()


@pytest.fixture(scope="session")
def ffmpeg() -> Iterator[Path]:
    """The path of an ffmpeg that is in PATH for the rest of the run: the machine's own, or an unpacked one."""
    folder = find_or_get_ffmpeg()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join((str(folder), os.environ.get("PATH", os.defpath))))
        yield folder / "ffmpeg"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL. A test that kills it starts it again."""
    with postgresql_programs() as found, PostgreSQL(found) as running:
        yield running


@pytest.fixture
def server(postgresql: PostgreSQL) -> Iterator[Server]:
    """An empty database for this test."""
    with postgresql.database() as url:
        yield Server.named(url, postgresql.password)


@pytest.fixture(scope="module")
def asterisk(installation: AsteriskInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """A PBX with the hook in its dialplan, which the tests of one file share. Files do not affect each other, whatever
    their order.
    """
    with Asterisk(installation, tmp_path_factory.mktemp("pbx")) as running:
        yield running


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sound]:
    """The shipped sounds. `sample` has 440 ms (22 packets), `notice` 560 ms (28 packets)."""
    return ensure_sounds(tmp_path_factory.mktemp("sounds"), load_library().values(), ["sln"])


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result folder of `make demo-authority`. `out` and `err` hold its output. Tests only read it."""

    def work_through(folder: Path) -> None:
        command = [sys.executable, "-m", "lab.office.year", "--json", folder]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
        assert ended.returncode == 0, ended.stderr
        (folder / "out").write_text(ended.stdout)
        (folder / "err").write_text(ended.stderr)

    return cached_folder(tmp_path_factory, "year", work_through)


@pytest.fixture
def evidence() -> MemoryEvidence:
    return MemoryEvidence()


@pytest.fixture(scope="session")
def references() -> dict[str, Any]:
    """Name of each shipped profile → its waveform at 8 kHz."""
    return {name: synthesise(profile, 8000) for name, profile in load_library().items()}


@pytest.fixture(scope="module")
def shared_service(asterisk: Asterisk) -> Iterator[SharedService]:
    one = SharedService(asterisk)
    yield one
    one.stop()


@pytest.fixture
def serving(shared_service: SharedService) -> Callable[..., Service]:
    """A function that starts the service with another registry, policy or transport."""
    return shared_service.serving


@pytest.fixture
def service(shared_service: SharedService) -> Service:
    """The service with the lab's registry and the default policy."""
    return shared_service.serving()


@pytest.fixture
def fallback_pbx(shared_service: SharedService) -> Asterisk:
    """An Asterisk whose service ran with the lab's registry and was stopped."""
    shared_service.stop_with_default_files()
    return shared_service.asterisk
