"""A command imports only what it needs. The tests count modules, because times depend on the machine."""

import asyncio
import inspect
import os
import py_compile
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from idtone.core.settings.settings import load_settings
from idtone.core.terminal.command_outline import outline
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.agi.fake_asterisk import connect_as_asterisk, encode_agi_fields
from lab.nightly_tests import rest_in_breadth
from lab.registry.examples import valid_until_2096

OTHERS = {
    "G722", "aiohttp", "asterisk", "cryptography", "inotify_simple", "matplotlib", "numpy", "phonenumbers",
    "prometheus_client", "psycopg", "pydantic", "pydub", "reportlab", "rfc8785", "rich", "securesystemslib",
    "sounddevice", "soundfile", "soxr", "tuf", "typer", "urllib3", "yaml",
}  # fmt: skip
"""Packages that idtone imports, apart from its own and Python's."""
HELP = {"idtone.core.terminal.help_page"}
"""Modules that a command's help needs in addition."""
DOCUMENTS = {"phonenumbers", "pydantic", "typer", "yaml"}
"""Packages for reading settings, profiles and registries."""
LEDGER = DOCUMENTS | {"cryptography", "rfc8785"}
SERVICE = LEDGER | {"aiohttp", "asterisk", "inotify_simple"}
ROOMS = {
    "agi", "ari_app", "call_control", "config", "console", "dialplan", "ledger", "member", "office", "operations",
    "registry", "service", "tones",
}  # fmt: skip
"""Rooms outside of the core."""
TABLES = {
    f"idtone.{name}"
    for name in (
        "cli core core.errors core.translation core.terminal core.terminal.command_line core.terminal.usage_errors"
        " core.terminal.standard_streams core.terminal.translated_commands"
        " console console.commands ledger ledger.commands registry registry.commands registry.customer_lines"
        " registry.customer_lines.commands tones tones.commands"
    ).split()
}
"""Modules that every command imports."""

PROGRAM = """
import os, signal, socket, sys
sys.argv[0] = "idtone"
def tell(*_):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(" ".join(["MODULES", *sys.modules]).encode(), os.environ["INBOX"])
signal.signal(signal.SIGUSR1, tell)
from idtone.cli import main
try:
    main()
finally:
    tell()
"""
"""Program that runs `idtone`. It sends the names of the loaded modules at its end and on SIGUSR1."""
OUTLINES = """
import os, sys
import typer.main
from importlib import import_module
def outlines(command, words):
    for name, inner in getattr(command, "commands", {}).items():
        yield from outlines(inner, [*words, name])
    if hasattr(command, "outlined"):
        yield " ".join(words), command
for program in ("", "evidence_", "fleet_", "office_"):
    app = import_module(f"idtone.{program}cli").app
    for words, command in outlines(typer.main.get_command(app), [f"idtone-{program}".strip("-_")]):
        if child := os.fork():
            assert os.waitpid(child, 0)[1] == 0, words
            continue
        command.outlined()
        print(words, *{name.partition(".")[0] for name in sys.modules}, sep=",", flush=True)
        os._exit(0)
"""
"""Program that prints all commands of all programs, each with the packages that its help imports."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "registry.yaml").write_text(valid_until_2096(), "utf-8")
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o600)
    path = tmp_path / "idtone.yaml"
    path.write_text(
        f"ari: {{url: 'http://127.0.0.1:9', user: idtone, password_file: {tmp_path}/password}}\n"
        f"interface: agi\n"
        f"agi: {{listen: 'unix:{tmp_path}/agi.sock'}}\n"
        f"sounds: {{directory: {tmp_path}/sounds}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/ledger/l.sqlite3', key_file: {tmp_path}/ledger/key}}\n"
        "association: {member: m-0001}\n"
    )
    return path


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[socket.socket]:
    """Socket that receives the datagrams of `PROGRAM`."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as datagrams:
        datagrams.bind(str(tmp_path / "inbox"))
        datagrams.setblocking(False)
        yield datagrams


@pytest.fixture
def start(config: Path, inbox: socket.socket) -> Callable[..., subprocess.Popen[str]]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("IDTONE_")}
    ours = {"IDTONE_CONFIG": str(config), "INBOX": inbox.getsockname()}
    return lambda command, **environment: subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command.split()],
        cwd=config.parent,
        env=outside | ours | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def received(inbox: socket.socket, first: str) -> set[str]:
    """Words of the next datagram whose first word is `first`."""
    async with asyncio.timeout(60):
        while True:
            words = (await asyncio.get_running_loop().sock_recv(inbox, 2**18)).decode().split()
            if words[0] == first:
                return set(words)


async def modules_of(process: subprocess.Popen[str], inbox: socket.socket) -> set[str]:
    """Modules that a command has loaded at its end."""
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return await received(inbox, "MODULES")


def own(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith("idtone.")}


def rooms(modules: set[str]) -> set[str]:
    """Rooms from which a module was imported, without the tables of commands."""
    return {name.split(".")[1] for name in own(modules) - TABLES} & ROOMS


def foreign(modules: set[str]) -> set[str]:
    """The modules without those of Python, which differ between versions."""
    return {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}


def completing(typed: str) -> dict[str, str]:
    return {"_IDTONE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}


@pytest.mark.parametrize(
    ("command", "environment", "most"),
    [
        ("--help", {}, 90),
        ("ledger --help", {}, 90),
        ("", completing("idtone "), 90),
        ("", completing("idtone ledger ver"), 90),
    ],
)
async def test_help_and_completion_import_no_command(start, inbox, command, environment, most):
    modules = await modules_of(start(command, **environment), inbox)
    assert own(modules) - HELP == TABLES
    assert modules & OTHERS == {"typer"}
    assert len(foreign(modules)) <= most


def test_the_help_of_a_command_imports_nothing_of_its_work():
    said = subprocess.run([sys.executable, "-c", OUTLINES], capture_output=True, text=True, check=True).stdout
    imported = {
        words: set(names) & OTHERS - {"typer"} for words, *names in (line.split(",") for line in said.splitlines())
    }
    assert len(imported) > 200
    assert {words: names for words, names in imported.items() if names} == {}


def packed_in_an_archive(source: Path) -> Path:
    archive = source.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.write(source, source.name)
    return archive


def only_bytecode(source: Path) -> Path:
    py_compile.compile(str(source), str(source.with_suffix(".pyc")))
    return source.parent


@pytest.mark.parametrize("installed", [packed_in_an_archive, only_bytecode])
def test_a_help_needs_no_file_of_the_source(installed, tmp_path, monkeypatch):
    source = tmp_path / f"{installed.__name__}.py"
    source.write_text('def command(number: int = 3) -> None:\n    "What it does."\n')
    monkeypatch.syspath_prepend(installed(source))
    source.unlink()
    try:
        found = outline.__wrapped__(source.stem, "command")
    finally:
        sys.modules.pop(source.stem, None)
    assert (found.__doc__, [*inspect.signature(found).parameters]) == ("What it does.", ["number"])


@rest_in_breadth(
    ("command", "needed_rooms", "needed", "most"),
    [
        ("tone list", {"config", "tones"}, DOCUMENTS | {"rich"}, 290),
        ("registry show", {"registry"}, DOCUMENTS, 240),
        ("ledger list", {"ledger"}, LEDGER | {"rich"}, 450),
        ("dialplan export .", {"config", "dialplan", "operations", "service", "tones"}, DOCUMENTS, 240),
    ],
)
async def test_a_command_imports_its_own_room_and_what_that_needs(
    config, start, inbox, command, needed_rooms, needed, most
):
    settings = load_settings(config, {})
    LedgerWriter.open(settings.ledger.own_url(), settings.node, KeyRing.of(settings.ledger, settings.node)).close()
    modules = await modules_of(start(command), inbox)
    assert rooms(modules) == needed_rooms
    assert modules & OTHERS == needed
    assert len(foreign(modules)) <= most


async def test_the_service_imports_what_a_call_needs_before_it_is_ready_and_nothing_later(config, start, inbox):
    process = start("serve", NOTIFY_SOCKET=inbox.getsockname())
    try:
        await received(inbox, "READY=1")
        process.send_signal(signal.SIGUSR1)
        ready = await received(inbox, "MODULES")
        outcome = await decided(config)
        process.send_signal(signal.SIGUSR1)
        later = await received(inbox, "MODULES") - ready
        status = await modules_of(start("status"), inbox)
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert (process.returncode, outcome) == (0, "PLAY"), said
    assert ready & OTHERS == SERVICE
    assert not rooms(ready) & {"console", "member", "office", "operations"}
    assert len(foreign(ready)) <= 620
    assert not foreign(later)
    assert status & OTHERS == DOCUMENTS | {"rich"}
    assert not {"idtone.registry.model", "idtone.ledger.store.ledger_reader"} & status


async def decided(config: Path) -> str:
    """Outcome of a call's request."""
    settings = load_settings(config, {})
    request = (
        settings.agi_secret(), "decide", "1795.1-1", "123456789987", "1795597718.1", "0312345678", "incoming",
        "0312340000", "PJSIP%2Fx", *[""] * 7,
    )  # fmt: skip
    address = settings.agi.address()
    async with connect_as_asterisk(address, encode_agi_fields("decide", request)) as asterisk:
        await asterisk.serve()
    return asterisk.variables["IDTONE_VERDICT"].split(":")[1]
