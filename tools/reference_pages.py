"""Generates the pages of docs/reference and the man pages that come from the code.

`python -m tools.reference_pages` writes them, as does `make docs`. Settings come from `config/idtone.yaml`, whose
comments have both languages. Commands come from the command line itself. Reason codes come from their enumeration, with
the texts of `decision_words`. Metrics, status and endings come from their tables (`tools/metrics_page.py`,
`tools/status_page.py`, `tools/endings_page.py`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import EnumType
from pathlib import Path
from typing import Any, Final, get_args

import yaml

from idtone.core.calls import Outcome, Reason
from idtone.core.decision_words import OUTCOMES, REASONS
from idtone.core.settings.settings import locations, variable_name
from idtone.core.translation import paragraphs
from lab.idtone_programs import PROGRAMS, command_tree
from lab.repository import ROOT

from . import dashboards, endings_page, messages, metrics_page, status_page
from .man_pages import argument, man_pages

REFERENCE: Final = ROOT / "docs" / "reference"
REFERENCE_JA: Final = ROOT / "docs" / "ja" / "reference"

# -- settings ---------------------------------------------------------------------------------------------------------

Location = tuple[str, ...]


@dataclass
class Entry:
    """One key of `config/idtone.yaml`. `default` is None for a section."""

    default: str | None
    values: str = ""
    english: list[str] = field(default_factory=list)
    japanese: list[str] = field(default_factory=list)

    def text(self, japanese: bool) -> str:
        return join_lines(self.japanese if japanese else self.english)


def entries(text: str) -> dict[Location, Entry]:
    """Keys of a settings file in order, each with the comments before it."""
    found: dict[Location, Entry] = {}
    path: list[tuple[int, str]] = []
    before: list[str] = []
    for line in text.splitlines():
        key = re.fullmatch(r"( *)(\w+):(?: +([^#]*?))?(?: +# (.*))?", line) or re.fullmatch(
            r"()# (node): (\S+)()", line
        )
        if key:
            indent = len(key[1])
            path = [*(step for step in path if step[0] < indent), (indent, key[2])]
            default = None if not key[3] else "" if line.startswith("#") else key[3]
            place = tuple(name for _, name in path)
            found[place] = _entry(default, before, key[4] or "")
            if default and default.startswith("{"):
                for name in yaml.safe_load(default):
                    found[*place, name] = Entry("null")
            before = []
        elif comment := re.fullmatch(r" *# ?(.*)", line):
            before.append(comment[1])
        else:
            before = []
    return found


def _entry(default: str | None, comments: Iterable[str], trailing: str) -> Entry:
    entry = Entry(default)
    for comment in (*comments, trailing):
        english, slash, japanese = comment.partition(" / ")
        if comment.startswith("  "):
            entry.english.append(f"`{comment.strip()}`")
            entry.japanese.append(f"`{comment.strip()}`")
        elif slash and is_japanese(japanese) and not is_japanese(english):
            entry.english.append(english)
            entry.japanese.append(japanese)
        elif comment is trailing and is_japanese(comment):
            entry.english.append(f"({comment})")
            entry.japanese.append(f"({comment})")
        elif comment is trailing:
            entry.values = comment
        elif comment:
            (entry.japanese if is_japanese(comment) else entry.english).append(comment)
    entry.english = entry.english or entry.japanese
    return entry


def is_japanese(text: str) -> bool:
    """True for a Japanese text. An English text with a Japanese word in parentheses is not Japanese."""
    return bool(re.search(r"[\u3001\u3002\u3040-\u30ff\u4e00-\u9fff]", re.sub(r"\([^()]*\)", "", text)))


def join_lines(lines: Iterable[str]) -> str:
    """The lines as one text, joined by spaces, but without spaces within Japanese."""
    text = ""
    for line in lines:
        together = (
            not text or text[-1] in "。、」" or (is_japanese(line[0]) and (is_japanese(text[-1]) or text[-1] in ":)"))
        )
        text += line if together else f" {line}"
    return text.replace("|", "\\|")


SETTINGS_HEAD: Final = """\
# Settings

Generated from [config/idtone.yaml](../../config/idtone.yaml), which is copied to `/etc/idtone/idtone.yaml`. Leave out
what you do not change. An environment variable of the key's name overrides the file: `ari.url` is
`IDTONE_ARI_URL`. A variable that begins with `IDTONE_` and that idtone does not know is an error. `IDTONE_CONFIG` names
the settings file.
"""
SETTINGS_HEAD_JA: Final = """\
# 設定

[config/idtone.yaml](../../../config/idtone.yaml) から作られたページです。このファイルを
`/etc/idtone/idtone.yaml` にコピーして使います。変えない項目は省略できます。各項目は同じ名前の環境変数でも指定でき、
環境変数が優先されます(`ari.url` は `IDTONE_ARI_URL`)。`IDTONE_` で始まる変数で idtone にないものは
エラーになります。設定ファイルの場所は `IDTONE_CONFIG` で指定できます。
"""
SECRET: Final = {
    False: "The secret itself. Do not write it into the file: set `password_file` or the environment variable `{}`.",
    True: "値そのもの。ファイルには書かず、`password_file` または環境変数 `{}` で指定してください。",
}
SEE: Final = {False: "See `{}`.", True: "`{}` を参照してください。"}


def settings_page(japanese: bool) -> str:
    written = entries((ROOT / "config" / "idtone.yaml").read_text("utf-8"))
    keys = sorted(locations(), key=lambda each: _place(each, written))
    lines = [SETTINGS_HEAD_JA if japanese else SETTINGS_HEAD]
    section: str | None = None
    explained = ""
    for location in keys:
        name = location[0] if len(location) > 1 else ""
        if name != section:
            section, explained = name, ""
            lines += _section(name, written, japanese)
        entry = written.get(location)
        if entry is None:
            assert location[-1] == "password", f"config/idtone.yaml does not have {location}"
            meaning, default, values = SECRET[japanese].format(variable_name(location)), "", ""
        else:
            meaning, default, values = _meaning(location, written, japanese), code(entry.default), entry.values
            if meaning:
                explained = SEE[japanese].format(".".join(location))
        lines.append(f"| `{'.'.join(location)}` | {default} | {values} | {meaning or explained} |")
    return "\n".join(lines) + "\n"


def _place(location: Location, written: Mapping[Location, Entry]) -> tuple[int, int]:
    """Sort key that puts sections in the order of the file, top-level keys first.

    Keys missing from the file come last in their section.
    """
    order = [*written]
    section = -1 if len(location) == 1 else order.index(location[:1])
    return section, order.index(location) if location in written else len(order)


def _section(name: str, written: Mapping[Location, Entry], japanese: bool) -> Iterator[str]:
    if name:
        yield f"\n## `{name}`\n"
        if text := written[(name,)].text(japanese):
            yield f"{text}\n"
    yield "| 項目 | 既定値 | 値 | 意味 |" if japanese else "| setting | default | values | meaning |"
    yield "|---|---|---|---|"


def _meaning(location: Location, written: Mapping[Location, Entry], japanese: bool) -> str:
    """The key's own comment, after the comments of the groups that contain it.

    Only the first key of a group repeats the group's comment. The other keys refer to that key.
    """
    texts = []
    for group in (location[:depth] for depth in range(2, len(location))):
        if text := written[group].text(japanese):
            first = next(key for key in locations() if key[: len(group)] == group)
            texts.append(text if location == first else SEE[japanese].format(".".join(first)))
    return " ".join(filter(None, (*texts, written[location].text(japanese))))


def code(text: str | None) -> str:
    return f"`{text}`" if text else ""


# -- reasons ----------------------------------------------------------------------------------------------------------

OUTCOMES_OF: Final = {
    Reason.EMERGENCY: "BYPASS",
    Reason.NUMBER_SUSPENDED: "REFUSE",
    Reason.NUMBER_NEVER_ORIGINATES: "REFUSE",
    Reason.LICENCE_VALID: "PLAY",
    Reason.LICENCE_EXPIRED: "NOTICE",
    Reason.LICENCE_REVOKED: "NOTICE",
    Reason.LICENCE_SUSPENDED: "NOTICE",
    Reason.LICENCE_NOT_YET_VALID: "NOTICE",
    Reason.PLEDGE_MISSING: "NOTICE",
    Reason.LICENCE_NONE: "NOTICE",
    Reason.CHAIN_UNCHECKED: "NOTICE, `policy.unchecked_chain`",
    Reason.DIRECTION_NOT_COVERED: "NOTICE",
    Reason.NUMBER_OF_ANOTHER_MEMBER: "REFUSE, `policy.foreign_numbers`",
    Reason.MEMBER_NOT_SET: "NOTICE",
    Reason.NUMBER_UNKNOWN: "incoming: NOTICE; outgoing: REFUSE, `policy.unknown_numbers`",
    Reason.NUMBER_WITHHELD: "REFUSE, `policy.unreadable`",
    Reason.NUMBER_MALFORMED: "REFUSE, `policy.unreadable`",
    Reason.PRESENTED_NUMBER_DIFFERS: "REFUSE",
    Reason.REGISTRY_STALE: "NOTICE",
    Reason.REGISTRY_MISSING: "NOTICE",
    Reason.NUMBER_OF_ANOTHER_CUSTOMER: "REFUSE",
    Reason.LINE_UNKNOWN: "REFUSE",
    Reason.LINES_MISSING: "REFUSE",
    Reason.BRAKE_STOP: "REFUSE",
    Reason.BRAKE_SLOW: "REFUSE",
    Reason.LEDGER_FULL: "`policy.ledger_full`",
    Reason.SERVICE_UNAVAILABLE: "`policy.fallback`",
    Reason.CALL_ID_UNREADABLE: "`policy.fallback`",
    Reason.SUSPENSIONS_UNKNOWN: "REFUSE",
    Reason.OVERLOAD: "SHED",
}
"""Reason code → outcome of such a call. The texts for the reason are in `decision_words`."""

REASONS_HEAD: Final = """\
# Outcomes and reasons

The outcome says what happens to the call, the reason why. With `policy.unlicensed: refuse`, REFUSE takes the place of
NOTICE. The codes are public and do not change.

## Outcomes

| outcome | when | the sound | then |
|---|---|---|---|
"""
REASONS_HEAD_JA: Final = """\
# 結果と理由

結果は通話をどう扱うかを、理由はなぜそうなるかを示します。NOTICE とあるものは、`policy.unlicensed: refuse` の場合は
REFUSE になります。コードは公開されており、変更されません。

## 結果

| 結果 | いつ | 聞こえる音 | その後 |
|---|---|---|---|
"""


def reasons_page(japanese: bool) -> str:
    said = messages.catalogue_text if japanese else str
    text = REASONS_HEAD_JA if japanese else REASONS_HEAD
    for outcome in Outcome:
        text += f"| `{outcome}` | {' | '.join(map(said, OUTCOMES[outcome]))} |\n"
    text += (
        "\n## 理由\n\nフックの `IDTONE_REASON`、再生証跡の `reason` です。\n\n| 理由 | 結果 | 意味 |\n|---|---|---|\n"
        if japanese
        else "\n## Reasons\n\n`IDTONE_REASON` of the hook, and `reason` in the evidence.\n\n"
        "| reason | outcome | meaning |\n|---|---|---|\n"
    )
    for reason in Reason:
        text += f"| `{reason}` | {OUTCOMES_OF[reason]} | {said(REASONS[reason])} |\n"
    return text


# -- commands ---------------------------------------------------------------------------------------------------------

SHARED: Final = ("-c", "--json", "--csv", "--tsv")
"""Options that mean the same in every command, unless they take a value."""
COMMANDS_HEAD: Final = """\
# Commands: {title}

Generated from the command line itself; `--help` says the same. Every command ends with 0 (good), 1 (a negative
verdict) or 2 (wrong use or unusable input). Options that mean the same everywhere: `-c FILE`, `--config FILE` is the
settings file (default: `/etc/idtone/idtone.yaml`); `--json` prints JSON for programs; `--csv` and `--tsv` print fields,
one line for each row.
"""
COMMANDS_HEAD_JA: Final = """\
# コマンド: {title}

コマンドラインから自動的に作られたページです。`--help` でも同じ説明を表示できます。終了コードは、どのコマンドでも
0(正常)、1(否定的な結果)、2(使い方の誤り、または使えない入力)です。次のオプションは、どのコマンドでも同じ意味です。
`-c FILE`、`--config FILE` は設定ファイル(既定値は `/etc/idtone/idtone.yaml`)、`--json` はプログラム用の JSON、
`--csv` と `--tsv` は 1 件を 1 行とする表です。
"""
OWN_PAGE: Final = 4
"""Minimum number of commands of a group with its own page."""


def command_pages(japanese: bool) -> dict[Path, str]:
    folder, head = (REFERENCE_JA, COMMANDS_HEAD_JA) if japanese else (REFERENCE, COMMANDS_HEAD)
    pages: dict[tuple[str, ...], list[tuple[str, Any]]] = {}
    for program in PROGRAMS:
        top = command_tree(program)
        if not hasattr(top, "commands"):
            pages["idtone",].append((program, top))
            continue
        for name, command in top.commands.items():
            inner = getattr(command, "commands", None)
            own = (program, name) if program == "idtone" and inner and len(inner) >= OWN_PAGE else (program,)
            pages.setdefault(own, []).extend(
                [(f"{program} {name} {each}", one) for each, one in inner.items()]
                if inner
                else [(f"{program} {name}", command)]
            )
    return {
        folder / f"{'-'.join(['commands', *own]).replace('-idtone', '')}.md": head.format(title=" ".join(own))
        + "".join("\n" + "\n".join(command_lines(*each, japanese)) + "\n" for each in commands)
        for own, commands in pages.items()
    }


def command_lines(name: str, stand_in: Any, japanese: bool) -> Iterator[str]:
    """Yield the lines on one command: its text, then its own arguments and options."""
    command = stand_in.loaded() if hasattr(stand_in, "loaded") else stand_in
    shared = {option: each for each in command.params for option in SHARED if option in each.opts and not each.metavar}
    own = [each for each in command.params if each not in shared.values() and "--help" not in each.opts]
    yield f"## {name}\n"
    said = messages.catalogue_text if japanese else str
    yield escape_cell("\n\n".join(map(said, paragraphs(command.help or ""))))
    if own:
        yield "\n| 引数、オプション | 意味 |" if japanese else "\n| argument, option | meaning |"
        yield "|---|---|"
    for each in own:
        yield f"| {' '.join(_spellings(each))} | {escape_cell(_help_of(each, japanese))} |"
    if shared:
        names = [f"`{option}`" for option in shared]
        yield f"\n共通のオプション: {'、'.join(names)}" if japanese else f"\nAlso: {', '.join(names)}."


def _spellings(parameter: Any) -> Iterator[str]:
    if parameter.param_type_name == "argument":
        yield f"`{argument(parameter)}`"
        return
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    yield ", ".join(f"`{spelling}{value}`" for spelling in (*parameter.opts, *parameter.secondary_opts))


def _choices(parameter: Any) -> list[str]:
    annotation = parameter.type_descriptor.annotation
    kind = next(iter(get_args(annotation)), annotation)
    return [each.value for each in kind] if isinstance(kind, EnumType) else []


def _help_of(parameter: Any, japanese: bool) -> str:
    text = " ".join((parameter.help or "").split())
    if japanese and text:
        text = messages.catalogue_text(text)
    if choices := [f"`{each}`" for each in _choices(parameter)]:
        text += f"{'、'.join(choices)} のいずれか。" if japanese else f" One of {', '.join(choices)}."
    return (
        f"{text}{'(必須)' if japanese else ' (required)'}"
        if parameter.required and parameter.param_type_name == "option"
        else text
    )


def escape_cell(text: str) -> str:
    """The text for a table's cell, with angle brackets and bars escaped."""
    return text.replace("|", "\\|").replace("<", "&lt;")


# -- all --------------------------------------------------------------------------------------------------------------


def pages() -> Mapping[Path, str]:
    """Path of each generated page → its text."""
    made: dict[Path, Callable[[], str]] = {
        REFERENCE / "settings.md": lambda: settings_page(japanese=False),
        REFERENCE_JA / "settings.md": lambda: settings_page(japanese=True),
        REFERENCE / "reasons.md": lambda: reasons_page(japanese=False),
        REFERENCE_JA / "reasons.md": lambda: reasons_page(japanese=True),
        REFERENCE / "metrics.md": lambda: metrics_page.page(japanese=False),
        REFERENCE_JA / "metrics.md": lambda: metrics_page.page(japanese=True),
        REFERENCE / "status.md": lambda: status_page.page(japanese=False),
        REFERENCE_JA / "status.md": lambda: status_page.page(japanese=True),
        endings_page.PAGE: lambda: endings_page.page(japanese=False),
        endings_page.PAGE_JA: lambda: endings_page.page(japanese=True),
    }
    return (
        {path: page() for path, page in made.items()}
        | command_pages(False)
        | command_pages(True)
        | man_pages(False)
        | man_pages(True)
    )


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    dashboards.write()
