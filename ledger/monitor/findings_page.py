"""A page, in Japanese and English, that shows a log monitor's findings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from idtone.core.paper.content import Paper, Section, Table, known_facts
from idtone.core.translation import Message, speak, translated

from .alarms import Alarm, AlarmKind, to_second
from .log_state import Known

KINDS: Final[Mapping[AlarmKind, str]] = {
    AlarmKind.SPLIT_VIEW: "二重の履歴 / split view",
    AlarmKind.RULE: "規則違反 / broken rule",
    AlarmKind.SHRUNK: "葉の減少 / fewer leaves",
    AlarmKind.KEY: "署名の不一致 / not signed by the key",
    AlarmKind.TILE: "ファイルの改変または欠落 / altered or missing file",
    AlarmKind.UNREACHABLE: "取得不能 / cannot be read",
    AlarmKind.SILENCE: "更新の停止 / silence",
    AlarmKind.LATE_COSIGNATURE: "連署の遅れ / late cosignature",
    AlarmKind.WITNESS: "証人の異常 / witness in trouble",
}
_NUMBER: Final = re.compile(r"\.[0-9]+\Z")
_TITLE: Final = "台帳の監視結果 / Monitor of ledgers"
_MEANS: Final = (
    "このページは、監視プログラムが自動で作成します。「確認」の時刻が古い場合は、監視プログラムが止まっています。",
    "The monitor makes this page. If the time of the last look is old, the monitor does not run.",
)


@dataclass
class LogReport:
    """A monitor's findings about one log.

    `trouble` is the reason why the findings could not be stored.
    """

    origin: str
    place: str
    known: Known = field(default_factory=Known)
    alarms: Sequence[Alarm] = ()
    trouble: str = ""
    given_up: str = ""
    """What a later log of the same node states about the end of this log. The monitor follows both logs."""

    @property
    def leaves(self) -> int:
        return self.known.checkpoint.size if self.known.checkpoint else 0

    def to_json(self) -> dict[str, Any]:
        known = self.known
        return {
            "log": self.origin,
            "place": self.place,
            "good": not self.alarms and not self.trouble,
            "leaves": self.leaves,
            "judged": known.checked,
            "root": known.checkpoint.root.hex() if known.checkpoint else None,
            "grown": to_second(known.grown) if known.grown else None,
            "looked": to_second(known.looked) if known.looked else None,
            "cosigned": {name: each.size for name, each in known.coverage.items()},
            "alarms": [
                {"kind": str(each.kind), "text": each.text, "since": to_second(each.since), "proof": each.proof}
                for each in self.alarms
            ],
            "gives_up": [each.to_json() for each in known.ends_given_up.counted],
            "given_up": self.given_up,
            "trouble": self.trouble,
        }


def add_given_up_ends(reports: Sequence[LogReport]) -> None:
    """Add to each report what the node's later logs state about the end of that log.

    A node's later log has the earlier log's name with a number added.
    """
    by_origin = {each.origin: each for each in reports}
    for later in reports:
        for given in later.known.ends_given_up.counted:
            earlier = by_origin.get(given.origin)
            if earlier and _is_of_node(later.origin, given.origin):
                earlier.given_up = Message("{log} says: {words}", log=later.origin, words=given.words)


def _is_of_node(later: str, earlier: str) -> bool:
    return _NUMBER.sub("", later) == _NUMBER.sub("", earlier)


def compare_ends(reports: Sequence[LogReport], now: datetime) -> Iterator[tuple[LogReport, Alarm]]:
    """Alarms for logs that contradict one of the same node's earlier logs.

    In such a log, the first leaf continues an end that the earlier log did not show, or an act gives up signed leaves.
    The text stays the same while the earlier log grows, so the alarm is recognized in the next round.
    """
    by_origin = {each.origin: each for each in reports}
    for later in reports:
        said = later.known.ends_given_up
        for given in said.counted:
            signed = by_origin[given.origin].known.checkpoint if given.origin in by_origin else None
            if signed and signed.size > given.signed and _is_of_node(later.origin, given.origin):
                text = Message(
                    "it says that of {log} only the first {leaves:,} leaves are signed, and that one has shown more",
                    log=given.origin,
                    leaves=given.signed,
                )
                yield later, Alarm(AlarmKind.RULE, text, now)
        origin, leaves, root = said.continues or (None, None, None)
        earlier = by_origin.get(str(origin))
        head = earlier.known.checkpoint if earlier else None
        if head is None or not isinstance(leaves, int):
            continue
        if head.size > leaves and not said.counts_less:
            text = Message(
                "it continues {log} after {leaves:,} leaves, and that one has shown more", log=origin, leaves=leaves
            )
        elif head.size == leaves and head.root.hex() != root:
            text = Message("it continues {log} with another root than that one has shown", log=origin)
        else:
            continue
        yield later, Alarm(AlarmKind.RULE, text, now)


def findings_page(reports: Sequence[LogReport], now: datetime) -> Paper:
    alarms = sum(len(each.alarms) + bool(each.trouble) for each in reports)
    facts = {"確認 / last look": to_second(now), "台帳 / ledgers": str(len(reports)), "警報 / alarms": str(alarms)}
    return Paper(_TITLE, now, [Section(_TITLE, known_facts(facts), _MEANS), *map(_section, reports)])


def _section(report: LogReport) -> Section:
    state = report.known
    facts = {
        "場所 / place": report.place,
        "葉 / leaves": f"{report.leaves:,}",
        "判定済み / judged": f"{state.checked:,}",
        "最後の追加 / last growth": to_second(state.grown) if state.grown else "–",
        "連署 / cosigned": "\n".join(f"{name}: {each.size:,}" for name, each in state.coverage.items()),
        "この台帳が放棄した終端 / ends that it gives up": "\n".join(
            _both(Message("{log}: {words}", log=each.origin, words=each.words)) for each in state.ends_given_up.counted
        )
        or None,
        "終端の放棄 / its end given up": _both(report.given_up) if report.given_up else None,
        "障害 / trouble": _both(report.trouble) if report.trouble else None,
    }
    rows = [(KINDS[each.kind], _both(each.text), to_second(each.since), _file(each)) for each in report.alarms]
    table = Table(("警報 / alarm", "内容 / what was found", "検出 / since", "証拠 / proof"), rows) if rows else None
    return Section(report.origin, known_facts(facts), () if rows or report.trouble else ("異常なし / good",), table)


def _file(alarm: Alarm) -> str:
    """Name of an alarm's file. The page may be public, so it shows none of this machine's paths."""
    return Path(alarm.proof).name if alarm.proof else ""


def _both(text: str) -> str:
    return "\n".join(dict.fromkeys(_in_each_language(text)))


def _in_each_language(text: str) -> Iterator[str]:
    for language in ("ja", "en"):
        yield copy_context().run(_said, language, text)


def _said(language: str, text: str) -> str:
    speak(language)
    return translated(text)
