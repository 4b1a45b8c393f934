"""Plans the changes that a PBX still needs for idtone: hook, modules, HTTP server and ARI user.

The functions read the current files and change nothing. All functions raise OSError, and ChangeError if a file cannot
be read or is not idtone's.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from idtone.core.errors import ChangeError
from idtone.dialplan import HOOK_FILE, HOOK_GLOBAL, HOOK_MODE

from .asterisk_console import AsteriskConsole
from .asterisk_custom_files import ARI_GENERAL, ARI_USERS, DIALPLAN, HTTP, MODULES, CustomFile, custom_file_for
from .doctor import asterisk_config_files, asterisk_findings, asterisk_modules, observe_machine
from .planned_changes import (
    HOOK_RELOAD,
    AsteriskChange,
    Change,
    FileChange,
    module_load,
    with_include,
    with_lines,
    with_options,
    with_section,
)

SECRET_MODE: Final = 0o640


def hook_changes(folder: Path, ours: bytes) -> list[Change]:
    """Changes that are still needed to export, include and load the hook."""
    path = folder / HOOK_FILE
    before = observe_machine.content(path)
    if before is not None and f"\n{HOOK_GLOBAL}=".encode() not in before:
        raise ChangeError("{path} is not idtone's", path=path)
    changes: list[Change] = []
    if before != ours:
        changes.append(FileChange(path, before, ours, HOOK_MODE, *owners(folder)))
    including = observe_machine.files_including_hook(folder)
    if including is None:
        raise ChangeError("{folder} cannot be read here", folder=folder)
    if not including:
        place = _place(folder, DIALPLAN)
        path = folder / place.file
        text = observe_machine.content(path)
        if text is None and not place.distribution:
            raise ChangeError("{path} does not exist", path=path)
        changes.append(_changed(path, text, with_include(text or b"", HOOK_FILE)))
    return [*changes, HOOK_RELOAD]


def module_changes(folder: Path, wanted: Iterable[str]) -> list[Change]:
    """Changes that load modules now and whenever Asterisk starts.

    Modules that are already running or are not installed are omitted.
    """
    console = AsteriskConsole(folder)
    running, installed = console.running(), console.settings().get("Module directory")
    if installed is None:
        return []
    lines, trouble = asterisk_config_files.text(folder / "modules.conf")
    if trouble:
        raise ChangeError("{path}: {trouble}", path=folder / "modules.conf", trouble=trouble)
    options = _module_options(lines or "")
    order = asterisk_modules.loading_order(sorted(asterisk_modules.used(wanted, running) - running), running)
    chosen = [name for name in order if Path(installed, f"{name}.so").is_file() and ("noload", name) not in options]
    changes: list[Change] = [module_load(name) for name in chosen]
    missing = [f"load = {name}.so" for name in chosen if ("load", name) not in options]
    loads_all = any(name == "autoload" and value.lower() in asterisk_findings.TRUE for name, value in options)
    if missing and not loads_all:
        changes.append(_with_lines(folder, MODULES, "modules", missing))
    return changes


_OPTION: Final = re.compile(r"^\s*(autoload|load|preload|require|noload)\s*=>?\s*([^\s;]+)", re.MULTILINE)


def _module_options(text: str) -> set[tuple[str, str]]:
    """Options in the text of modules.conf, with module names without `.so`."""
    kinds = {"preload": "load", "require": "load"}
    return {(kinds.get(name, name), value.removesuffix(".so")) for name, value in _OPTION.findall(text)}


def http_changes(folder: Path) -> list[Change]:
    """Changes that enable Asterisk's HTTP server on the loopback address.

    A server that is already enabled stays unchanged.
    """
    if options(folder, "http.conf", "general").get("enabled", "no").lower() in asterisk_findings.TRUE:
        return []
    reload = AsteriskChange("module reload http", "http show status", "Enabled and Bound", "module reload http")
    return [_with_lines(folder, HTTP, "general", ["enabled = yes", f"bindaddr = {LOOPBACK}"]), reload]


LOOPBACK: Final = "127.0.0.1"


def ari_changes(folder: Path, user: str, secret: str, group: str) -> list[Change]:
    """Changes that enable ARI and add a user.

    Only Asterisk's group, `group`, may read the file with the password.
    """
    changes: list[FileChange] = []
    if options(folder, "ari.conf", "general").get("enabled", "yes").lower() not in asterisk_findings.TRUE:
        changes.append(_with_lines(folder, ARI_GENERAL, "general", ["enabled = yes"]))
    if not options(folder, "ari.conf", user):
        place = _place(folder, ARI_USERS)
        path = folder / place.file
        before = observe_machine.content(path)
        text = next((change.after for change in changes if change.path == path), before or b"")
        # Asterisk loads ari.conf neither without a section [general] nor with two.
        if not place.distribution and not re.search(rb"^\s*\[general\]", text, re.MULTILINE):
            text = with_section(text, "general", ["enabled = yes"])
        after = with_section(text, user, ["type = user", "read_only = no", f"password = {secret}"])
        owner = owners(folder)[0] if before is None else None
        changes = [change for change in changes if change.path != path]
        changes.append(FileChange(path, before, after, SECRET_MODE, owner, group))
    return [*changes, *_ari_reload(folder, user)] if changes else []


def _ari_reload(folder: Path, user: str) -> Sequence[Change]:
    """Changes that reload ARI, or load it if it is not loaded.

    Asterisk does not load ARI if ari.conf is missing or disables it.
    """
    running = AsteriskConsole(folder).running()
    if "res_ari" in running:
        return [AsteriskChange("module reload res_ari.so", "ari show users", user, "module reload res_ari.so")]
    return [module_load(name) for name in asterisk_modules.loading_order(("res_ari",), running) if name not in running]


def options(folder: Path, name: str, section: str) -> dict[str, str]:
    """A section's options in a configuration file and the files that it includes.

    Raises ChangeError if a file cannot be read.
    """
    text, trouble = asterisk_config_files.text(folder / name)
    if trouble:
        raise ChangeError("{path}: {trouble}", path=folder / name, trouble=trouble)
    return asterisk_findings.sections(text or "").get(section, {})


def owners(folder: Path) -> tuple[str | None, str]:
    """User and group that own a new file in Asterisk's folder.

    Both are taken from the folder. The user is None if the process does not run as root.
    """
    held = observe_machine.rights(folder)
    user = observe_machine.user_name(held.user) if os.geteuid() == 0 else None
    return user, observe_machine.group_name(held.group)


def _place(folder: Path, purpose: str) -> CustomFile:
    return custom_file_for(purpose, observe_machine.read_text(folder / purpose.partition(" ")[0])[0] or "")


def _with_lines(folder: Path, purpose: str, section: str, lines: Sequence[str]) -> FileChange:
    place = _place(folder, purpose)
    path = folder / place.file
    before = observe_machine.content(path)
    after = with_options(before or b"", section, lines)
    if after is None:
        after = with_lines(before or b"", lines) if place.in_section else with_section(before or b"", section, lines)
    return _changed(path, before, after)


def _changed(path: Path, before: bytes | None, after: bytes) -> FileChange:
    if before is None:
        return FileChange(path, None, after, SECRET_MODE, *owners(path.parent))
    return FileChange(path, before, after)
