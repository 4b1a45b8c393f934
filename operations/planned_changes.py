"""Planned changes to the PBX, with their text for the operator."""

import difflib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Final

from idtone.core.translation import Message, joined

MOST_LINES: Final = 40
"""Maximum number of lines of a new file that is shown in full. For a longer file, only the name is shown."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A change to the PBX that replaces a file's content.

    `before` is None if the file does not exist. `mode`, `user` and `group` describe the changed file. None keeps the
    present value, or the default for a new file.
    """

    path: Path
    before: bytes | None = field(repr=False)
    after: bytes = field(repr=False)
    mode: int | None = None
    user: str | None = None
    group: str | None = None
    is_secret: bool = False
    """True if the entire content is secret and must not be shown."""

    def __str__(self) -> str:
        rights = str(RightsChange(self.path, self.mode, self.user, self.group))
        if self.is_secret:
            return joined("\n", [Message("{path}: a secret, which is not shown", path=self.path), rights])
        if self.before is None and (lines := self.after.count(b"\n")) > MOST_LINES:
            return joined("\n", [Message("new file {path}, {lines} lines", path=self.path, lines=lines), rights])
        before, after = ([*map(_public, _text(content))] for content in (self.before or b"", self.after))
        names = "/dev/null" if self.before is None else str(self.path), str(self.path)
        diff = list(difflib.unified_diff(before, after, *names, lineterm="", n=2))
        # Two secrets look the same here.
        shown = "\n".join(diff) or Message("{path}: another secret", path=self.path)
        return joined("\n", [shown, rights]) if rights else shown


@dataclass(frozen=True, slots=True)
class FolderChange:
    """A change to the PBX that creates a folder."""

    path: Path
    mode: int
    user: str
    group: str

    def __str__(self) -> str:
        return f"install -d -o {self.user} -g {self.group} -m {self.mode:o} {quote(str(self.path))}"


@dataclass(frozen=True, slots=True)
class RightsChange:
    """A change to the PBX that sets a file's or folder's access rights; None keeps the present value."""

    path: Path
    mode: int | None = None
    user: str | None = None
    group: str | None = None

    def __str__(self) -> str:
        place = quote(str(self.path))
        owner = (self.user or "") + (f":{self.group}" if self.group else "")
        commands = [f"chown {owner} {place}"] * bool(owner)
        if self.mode is not None:
            commands.append(f"chmod {self.mode:o} {place}")
        return " && ".join(commands)


@dataclass(frozen=True, slots=True)
class AsteriskChange:
    """A change to the PBX made by a command on Asterisk's console, with a check that it worked.

    After the command, the output of the command `proof` must match the regular expression `wanted`. `back` is the
    command that reverts the change.
    """

    command: str
    proof: str
    wanted: str
    back: str
    once: bool = False
    """True if the command is skipped when the output of `proof` already matches."""

    def __str__(self) -> str:
        return f"asterisk -rx {quote(self.command)}"


@dataclass(frozen=True, slots=True)
class ProgramChange:
    """A change to the PBX made by a program on the operator's machine.

    `back` is the command that reverts the change.
    """

    command: tuple[str, ...]
    back: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.command)


Change = FileChange | FolderChange | RightsChange | AsteriskChange | ProgramChange


@dataclass(frozen=True, slots=True)
class Group:
    """A group of changes to the PBX that are made together or not at all.

    `ids` identifies their topics for programs, and `title` names them for people.
    """

    ids: tuple[str, ...]
    title: str
    changes: tuple[Change, ...]


HOOK_RELOAD: Final = AsteriskChange(
    "dialplan reload", "dialplan show idtone-forward", "'idtone-forward' created by", "dialplan reload"
)


def module_load(module: str) -> AsteriskChange:
    """A change that loads an Asterisk module, named without `.so`."""
    return AsteriskChange(
        f"module load {module}", f"module show like {module}.so", r"(?<!Not) Running ", f"module unload {module}", True
    )


MARK: Final = "; idtone added the next lines"
"""The line above the lines that idtone adds to an operator's file."""
_SECTION: Final = re.compile(rb"^[ \t]*\[", re.MULTILINE)


def with_include(content: bytes, name: str) -> bytes:
    """Add an #include to a dialplan file, before its first section.

    After the first section, the operator's lines would belong to the last section of the included file.
    """
    first = _SECTION.search(content)
    at = first.start() if first else len(content)
    return _inserted(content, at, [f"#include {name}"])


def with_options(content: bytes, section: str, lines: Sequence[str]) -> bytes | None:
    """Add options to a section of a configuration file; None if there is no such section.

    If an option is repeated, Asterisk uses the last one. The lines are therefore added after options with the same
    names, or at the beginning of the section if there are none.
    """
    head = re.search(rb"^[ \t]*\[%b\].*(?:\n|\Z)" % re.escape(section.encode()), content, re.MULTILINE)
    if head is None:
        return None
    following = _SECTION.search(content, head.end())
    end = following.start() if following else len(content)
    names = b"|".join(re.escape(line.partition(" = ")[0].encode()) for line in lines)
    same = list(re.finditer(rb"^[ \t]*(?:%b)[ \t]*=.*(?:\n|\Z)" % names, content[:end], re.MULTILINE))
    at = max([head.end(), *(option.end() for option in same)])
    return _inserted(content, at, lines)


def with_section(content: bytes, section: str, lines: Sequence[str]) -> bytes:
    """Add a section at the end of a configuration file."""
    return with_lines(content, [f"[{section}]", *lines])


def with_lines(content: bytes, lines: Sequence[str]) -> bytes:
    return _inserted(content, len(content), lines)


def _inserted(content: bytes, at: int, lines: Sequence[str]) -> bytes:
    before, rest = content[:at], content[at:]
    if before and not before.endswith(b"\n"):
        before += b"\n"
    return before + "".join(f"{line}\n" for line in (MARK, *lines)).encode() + rest


_SECRET: Final = re.compile(r"^(\s*\w*(?:secret|password)\w*\s*=>?\s*).+$", re.IGNORECASE)


def _public(line: str) -> str:
    return _SECRET.sub(r"\1…", line)


def _text(content: bytes) -> list[str]:
    return content.decode("utf-8", "backslashreplace").splitlines()
