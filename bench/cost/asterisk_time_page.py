"""The results of `make bench-profile` in the documentation: text in both languages, and flame graphs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lab.repository import ROOT

from ..results_in_docs import write_texts
from . import call_stacks
from .call_stacks import Stack
from .forwarding_ways import Way
from .goals import HOOK

BENCH: Final = "bench-profile"
ENGLISH: Final = ROOT / "docs" / "explanation" / "asterisk-time.md"
JAPANESE: Final = ROOT / "docs" / "ja" / "explanation" / "asterisk-time.md"
IMAGES: Final = ROOT / "docs" / "images"
PICTURES: Final = {Way.NATIVE: "asterisk-native.svg", HOOK: "asterisk-hook.svg"}
_LEAST_US: Final = 10.0
"""A part that takes less in each way has no row."""

Row = Mapping[str, Any]

_ENGLISH: Final = {
    "summary": (
        "`make bench-profile` measured Asterisk {asterisk}, built with symbols, with all ways in turns at {rate:g} "
        "calls/s, on a machine at load {least:.0f} to {most:.0f}. Under `perf` ({samples_s} samples per second, "
        "including the kernel's), it made {native:,} native calls, {floor:,} with the floor and {hook:,} with the "
        "hook. The times are from {calls:,} calls per way without `perf`: the fastest tenth of the calls, minus "
        "native's."
    ),
    "ways": (
        "| way | connected, ms | post-dial, ms | Asterisk, µs per call | relative to native "
        "| service or test application, µs |"
    ),
    "dial": "`dial`", "native": "`native`", "stasis": "`native` after a `Stasis()` that is answered at once",
    "empty-u": "`native` with a `U()` that only returns", "floor": "both: the floor",
    "ari-called": "the hook, `ari-called`", "ari-both": "the hook, `ari-both`",
    "what": "| Asterisk, µs per call, by activity | native | floor | hook | hook − native |",
    "where": "| Asterisk, µs per call, by thread or step | native | floor | hook | hook − native |",
}  # fmt: skip
_JAPANESE: Final = {
    "summary": (
        "`make bench-profile`: シンボル付きでビルドした Asterisk {asterisk}。負荷 {least:.0f}~{most:.0f} のマシンで、"
        "`perf`(毎秒 {samples_s} 標本、カーネルを含む)の下で native {native:,} 通話、下限 {floor:,} 通話、"
        "フック {hook:,} 通話を、すべての方式を交互に、毎秒 {rate:g} 通話で測定しました。"
        "時間は、`perf` なしの各 {calls:,} 通話の値で、最も速い 1 割の通話どうしの、native との差です。"
    ),
    "ways": (
        "| 方式 | 接続まで、ms | ダイヤル後遅延、ms | Asterisk、1 通話あたり µs | native 比 "
        "| 横のプロセス、µs |"
    ),
    "dial": "`dial`", "native": "`native`", "stasis": "すぐに応答される `Stasis()` の後の `native`",
    "empty-u": "戻るだけの `U()` を付けた `native`", "floor": "両方(下限)",
    "ari-called": "フック `ari-called`", "ari-both": "フック `ari-both`",
    "what": "| Asterisk、1 通話あたり µs、処理の種類別 | native | 下限 | フック | フック − native |",
    "where": "| Asterisk、1 通話あたり µs、場所別 | native | 下限 | フック | フック − native |",
    call_stacks.THREADS: "スレッドの待機、起床、切替え", call_stacks.NETWORK: "ネットワーク",
    call_stacks.ELSE: "ダイヤルプラン、チャネル、ブリッジ",
    call_stacks.MEMORY: "呼出し元がスタックから分からないメモリーと文字列",
    call_stacks.FILES: "音とジャーナルのファイル", call_stacks.BUS: "バスのメッセージとスナップショット",
    call_stacks.VARIABLES: "変数、関数、式",
    call_stacks.PRIORITIES: "通話: その他のプライオリティ", call_stacks.HANGUP: "通話: ハングアップハンドラー",
    call_stacks.DIAL: "通話: `Dial()`", call_stacks.U: "通話: `U()` とその再生", call_stacks.STASIS: "通話: `Stasis()`",
    call_stacks.BRIDGE: "通話: ブリッジ", call_stacks.BRIDGED: "ブリッジでの着信側のスレッド",
    call_stacks.SIP_TASKS: "SIP のタスク",
    call_stacks.SIP_THREAD: "SIP を送受信するスレッド", call_stacks.BUS_TASKS: "バスのタスク",
    call_stacks.AUTOSERVICE: "待つチャネルを読むスレッド", call_stacks.WEBSOCKET: "WebSocket のスレッド",
    call_stacks.DEVICES: "デバイスの状態のスレッド", call_stacks.OTHERS: "その他のスレッド、始まりの分からないスタック",
}  # fmt: skip


def page_text(
    measured: Mapping[str, Any], rows: Sequence[Row], tables: Mapping[str, Sequence[Row]], words: Mapping[str, str]
) -> str:
    """Text of the page with three tables.

    The tables compare each way with native, and show Asterisk's time by activity and by thread or step.
    """
    profiled = measured["profiled"]
    lines = [
        words["summary"].format(
            asterisk=measured["asterisk"], rate=measured["rate"], samples_s=measured["samples_s"],
            calls=rows[0]["calls"],
            least=min(measured["loads"]), most=max(measured["loads"]),
            native=profiled[Way.NATIVE], floor=profiled[Way.FLOOR], hook=profiled[HOOK],
        ), "", words["ways"], "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        connected = "" if row["connected_fastest_ms"] is None else f"{row['connected_fastest_ms']:+.2f}"
        lines.append(
            f"| {words[row['way']]} | {connected} | {row['post_dial_fastest_ms']:+.2f} | {row['asterisk_us']:,.0f} "
            f"| {row['asterisk_of_native']:.2f} | {row['beside_us']:,.0f} |"
        )
    for title, parts in tables.items():
        lines += ["", words[title], "|---|---|---|---|---|"]
        for row in parts:
            figures = [row[way] for way in (Way.NATIVE, Way.FLOOR, HOOK)]
            if max(figures) >= _LEAST_US:
                name = words.get(row["part"], row["part"])
                lines.append(f"| {name} | {' | '.join(f'{us:,.0f}' for us in figures)} | {row['hook_adds']:+,.0f} |")
    return "\n".join(lines) + "\n"


def write_page(
    measured: Mapping[str, Any],
    rows: Sequence[Row],
    tables: Mapping[str, Sequence[Row]],
    found: Mapping[Way, Mapping[Stack, int]],
) -> None:
    """Write the tables into both pages, with the flame graphs next to them."""
    write_texts(
        {
            page: page_text(measured, rows, tables, words)
            for page, words in ((ENGLISH, _ENGLISH), (JAPANESE, _JAPANESE))
        },
        BENCH,
    )
    for way, name in PICTURES.items():
        of = f"{measured['profiled'][way]:,} calls, {sum(found[way].values()):,} samples"
        title = f"Asterisk's processor time: {_TITLES[way]} ({of})"
        (IMAGES / name).write_text(call_stacks.flame_graph(found[way], title))


_TITLES: Final = {
    Way.NATIVE: "Asterisk's own Dial() with A()",
    HOOK: "the hook, over ARI, the called party hears the sound",
}
