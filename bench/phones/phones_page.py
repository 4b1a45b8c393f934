"""The results of the phones bench in docs/explanation/phones.md and its Japanese page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bench.results_in_docs import write_texts
from lab.repository import ROOT

from .claims import summary
from .situations import SITUATIONS

ENGLISH: Final = ROOT / "docs" / "explanation" / "phones.md"
JAPANESE: Final = ROOT / "docs" / "ja" / "explanation" / "phones.md"
BENCH: Final = "bench-phones"

Words = Mapping[str, str]
_ENGLISH: Final[Words] = {
    "head": (
        "| phone | situation | party | received whole | frames of {of} | recorded | claims more | claims less |"
    ),
    "summary": (
        "`COUNT={count}`: {situations} situations, {calls} calls, {sounds} sounds. {claims_more} records claim more "
        "than the phone received, and {claims_less} claim less. Behind NAT, {behind_nat_whole} of {behind_nat} calls "
        "delivered the whole sound."
    ),
    "called": "called", "caller": "caller", "lab": "the lab's own",
    "confirmed": "confirmed", "sent": "sent", "not-known": "not known", "unplayed": "not known, not played",
    "missing": "not here",
}  # fmt: skip
_JAPANESE: Final[Words] = {
    "head": "| 電話機 | 状況 | 当事者 | 全部届いた | {of} フレーム中 | 記録 | 過大 | 過小 |",
    "summary": (
        "`COUNT={count}`: {situations} 通りの状況、{calls} 通話、{sounds} 回の音のうち、電話機が受信した以上のことを"
        "記録したものは {claims_more} 件、少なく記録したものは {claims_less} 件です。NAT の内側の電話機では、"
        "{behind_nat} 通話のうち {behind_nat_whole} 通話で音が全部届きました。"
    ),
    "called": "着信側", "caller": "発信側", "lab": "試験用",
    "confirmed": "確認済み", "sent": "送信済み", "not-known": "不明", "unplayed": "不明(再生未了)",
    "missing": "ここにはない",
}  # fmt: skip


def write(rows: Sequence[dict[str, Any]], count: int) -> None:
    write_texts({ENGLISH: table(rows, _ENGLISH, count), JAPANESE: table(rows, _JAPANESE, count)}, BENCH)


def table(rows: Sequence[dict[str, Any]], words: Words, count: int) -> str:
    """Summary of the results, and a line for each party of each situation, in Markdown."""
    of = next((party["of"] for row in rows for party in row["parties"].values()), 0)
    lines = [
        words["summary"].format(**summary(rows), count=count),
        "",
        words["head"].format(of=of),
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines += _lines(row, words)
    return "\n".join(lines) + "\n"


def _lines(row: dict[str, Any], words: Words) -> Iterator[str]:
    what = _japanese(row) if words is _JAPANESE else row["name"]
    begin = f"| {words.get(row['phone'], row['phone'])} | {what} |"
    if not row["calls"]:
        yield f"{begin} {words['missing']}: {row['missing'] or (row['unfinished'] or ['no call'])[0][:120]} | | | | | |"
    for number, (party, found) in enumerate(row["parties"].items()):
        low, high = found["frames"]
        recorded = ", ".join(f"{words[delivery]} {count}" for delivery, count in sorted(found["recorded"].items()))
        claims = (row["claims_more"], row["claims_less"]) if not number else ("", "")
        frames = f"{low}" if low == high else f"{low}–{high}"
        own = found["recorded_frames"]
        if own and own != found["frames"]:
            frames += f" ({own[0]})" if own[0] == own[1] else f" ({own[0]}–{own[1]})"
        yield (
            f"{begin} {words[party]} | {found['whole']} / {found['sounds']} | {frames} | {recorded} "
            f"| {claims[0]} | {claims[1]} |"
        )


def _japanese(row: dict[str, Any]) -> str:
    return next(each.japanese for each in SITUATIONS if each.what == row["name"])
