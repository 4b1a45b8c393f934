"""The tables of docs/explanation/fleet.md, in both languages, from the figures of the last run.

    make bench-fleet JSON=1 > build/drills.json
    make bench-fleet-scale JSON=1 > build/scale.json
    make bench-talking JSON=1 > build/talking.json
    make bench-servers JSON=1 > build/servers.json
    python -m bench.fleet.fleet_page build/drills.json build/scale.json build/talking.json build/servers.json

Each file replaces the stored figures of its bench; the other figures stay.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from lab.repository import ROOT

from .fleet_sizing import (
    PARTS,
    CallCost,
    FleetDemand,
    FleetSize,
    ServerSizing,
    TalkCost,
    TalkLoad,
    million_calls_cost,
    nodes_for,
    size_fleet,
    size_server,
    talk_load,
)

FIGURES: Final = Path(__file__).with_name("figures.json")
PAGES: Final = {
    "en": ROOT / "docs" / "explanation" / "fleet.md",
    "ja": ROOT / "docs" / "ja" / "explanation" / "fleet.md",
}
DEMANDS: Final = (FleetDemand(300_000, 3), FleetDemand(1e6, 10), FleetDemand(10e6, 100))
DRILLS: Final = {
    "Asterisk killed": "Asterisk の強制終了",
    "service killed": "サービスの強制終了",
    "node frozen": "ノードの停止(フリーズ)",
    "node frozen, then restarted": "ノードの停止(フリーズ)と再起動",
    "Kamailio killed": "Kamailio の強制終了",
    "registry server gone": "登録簿のサーバーの停止",
    "witness gone": "証人の停止",
    "disk full on a node": "一台のディスクが満杯",
    "network to the database cut": "データベースとの通信の切断",
    "primary database killed": "主データベースの強制終了",
    "node restored from an old backup": "古いバックアップからの復元",
    "node cloned": "ノードの複製(クローン)",
}
TALK_S: Final = 180.0
PROCESSORS, BUSY = 8, 0.6
"""The processors of a node, and the share of them that may be busy."""
_GB, _MB, _KB = 1e9, 1e6, 1e3


def tables(figures: Mapping[str, Any], language: str) -> dict[str, str]:
    """Tables of docs/explanation/fleet.md in Markdown, by the names of their markers."""
    place = 0 if language == "en" else 1
    measured = CallCost.of_json(figures["measured"])
    return {
        "drills": _drills(figures["drills"], figures["rate"], place),
        "call": _call(measured, place),
        "sizing": _sizing(measured, place),
        "talking": _talking(measured, figures["talking"], place),
        "model": _model(figures["over_predicted"], place),
        "servers": _servers(measured, figures["servers"], place),
        "two servers": _two_servers(figures["servers"], place),
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_DRILL_COLUMNS: Final = (
    ("for, s", "時間(秒)"),
    ("calls offered", "発信"),
    ("lost: there / elsewhere", "失敗: 当該 / ほか"),
    ("cut off: there / elsewhere", "切断: 当該 / ほか"),
    ("rang twice", "二度の呼出し"),
    ("turned away", "輻輳"),
    ("with the notice instead of the sound", "識別音の代わりに通知音"),
    ("suspended numbers connected", "停止番号の接続"),
    ("calls without record / records not in PostgreSQL", "記録なし / 未複製"),
    ("last call lost or turned away after, s", "最後の失敗まで(秒)"),
    ("works again after, s", "復帰まで(秒)"),
)


def _drills(rows: Sequence[Mapping[str, Any]], rate: float, place: int) -> str:
    head = (
        (f"what failed, at {rate:g} calls/s", f"障害(毎秒 {rate:g} 通話)")[place],
        *(words[place] for words in _DRILL_COLUMNS),
    )
    return _table(head, [(row["name"] if place == 0 else DRILLS[row["name"]], *_figures(row)) for row in rows])


def _figures(row: Mapping[str, Any]) -> Sequence[str]:
    found = row["judged"]
    return (
        f"{row['away_s']:g}",
        str(found["offered"]),
        f"{found['lost_on_dead']} / {found['lost_elsewhere']}",
        f"{found['cut_on_dead']} / {found['touched_elsewhere']}",
        str(found["rang_twice"]),
        str(found["busy"]),
        str(found["with_notice"]),
        f"{found['suspended_connected']} / {found['suspended_offered']}",
        f"{found['without_record']} / {found['not_replicated']}",
        _seconds(found["recovered_s"]),
        _seconds(row["back_s"]),
    )


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _call(measured: CallCost, place: int) -> str:
    hours = million_calls_cost(measured).processor_hours
    rows = [
        (
            (f"{name} processor time", f"{name} のプロセッサー時間")[place],
            f"{measured.parts[name].per_call_ms:.1f} ms",
            f"{hours[name]:.1f} h",
            f"{measured.parts[name].per_node_second_ms:.1f} ms/s",
        )
        for name in PARTS
    ]
    stored = (
        (("rows in PostgreSQL", "PostgreSQL の行"), measured.rows_per_call, 1.0, "", "M", 0.0),
        (("bytes in PostgreSQL", "PostgreSQL の容量"), measured.database_bytes_per_call, _KB, " kB", "GB", 0.0),
        (
            ("PostgreSQL WAL", "PostgreSQL の WAL"), measured.wal_bytes_per_call, _KB, " kB", "GB",
            measured.wal_bytes_per_node_second,
        ),
        (
            ("bytes in the node's file", "ノードのファイルの容量"), measured.ledger_bytes_per_call, _KB, " kB",
            "GB", 0.0,
        ),
    )  # fmt: skip
    for words, each, unit, short, long, idle in stored:
        without = f"{idle / unit:.1f}{short}/s" if idle else ""
        rows.append((words[place], f"{each / unit:.1f}{short}", f"{each / unit:.1f} {long}", without))
    head = (
        ("", "one call", "a million calls", "without calls, per node"),
        ("", "1 通話", "100 万通話", "通話なし、1 ノード当たり"),
    )
    return _table(head[place], rows)


_NEEDS: Final[Sequence[tuple[tuple[str, str], Callable[[FleetSize], str]]]] = (
    (
        ("calls/s in the busiest hour, all / one node", "最繁時の毎秒の通話、全体 / 1 ノード"),
        lambda one: f"{one.busy_calls_per_s:.0f} / {one.busy_calls_per_s_of_node:.1f}",
    ),
    (
        ("processors busy on one node (Asterisk, service)", "1 ノードで使うプロセッサー(Asterisk、サービス)"),
        lambda one: f"{one.processors_of_node:.2f}",
    ),
    (
        ("processors busy: Kamailio / PostgreSQL with standby", "使うプロセッサー: Kamailio / PostgreSQL と待機系"),
        lambda one: f"{one.processors['kamailio']:.2f} / {one.processors['postgresql']:.2f}",
    ),
    (
        ("PostgreSQL: schemas / transactions per second", "PostgreSQL: スキーマ / 毎秒のトランザクション"),
        lambda one: f"{one.schemas} / {one.transactions_per_s:.0f}",
    ),
    (
        ("PostgreSQL: rows per second / year", "PostgreSQL: 毎秒の行 / 1 年の行"),
        lambda one: f"{one.rows_per_s:,.0f} / {one.rows_per_year / 1e9:.1f} × 10⁹",
    ),
    (
        ("PostgreSQL: bytes per year", "PostgreSQL: 1 年の容量"),
        lambda one: f"{one.database_bytes_per_year / 1e12:.2f} TB",
    ),
    (
        ("PostgreSQL: WAL per second / day", "PostgreSQL: 毎秒の WAL / 1 日の WAL"),
        lambda one: f"{one.wal_bytes_per_s / _MB:.2f} MB / {one.wal_bytes_per_day / _GB:.1f} GB",
    ),
    (
        ("bytes per year on one node", "1 ノードの 1 年の容量"),
        lambda one: f"{one.ledger_bytes_per_year_of_node / _GB:.0f} GB",
    ),
    (
        ("requests to witnesses per hour", "証人への毎時のリクエスト"),
        lambda one: f"{one.witness_requests_per_hour:,.0f}",
    ),
)


def _sizing(measured: CallCost, place: int) -> str:
    sizes = [size_fleet(measured, demand) for demand in DEMANDS]
    head = (("calls per day", "1 日の通話")[place], *(f"{demand.calls_per_day:,.0f}" for demand in DEMANDS))
    nodes = (("nodes", "ノード")[place], *(str(demand.nodes) for demand in DEMANDS))
    return _table(head, [nodes, *((words[place], *map(figure, sizes)) for words, figure in _NEEDS)])


_CARRIES: Final[Sequence[tuple[tuple[str, str], Callable[[TalkLoad], str]]]] = (
    (
        ("calls in progress, all / one node", "通話中の数、全体 / 1 ノード"),
        lambda one: f"{one.in_progress:,.0f} / {one.in_progress_of_node:,.0f}",
    ),
    (
        ("packets per second relayed by one node", "1 ノードが毎秒中継するパケット"),
        lambda one: f"{one.packets_per_s_of_node:,.0f}",
    ),
    (
        (
            "processors busy on one node: set-up and end / speech",
            "1 ノードで使うプロセッサー: 呼の開始と終了 / 音声",
        ),
        lambda one: f"{one.set_up_processors_of_node:.2f} / {one.talk_processors_of_node:.2f}",
    ),
    (
        ("Asterisk's memory for these calls, one node", "そのための Asterisk のメモリー、1 ノード"),
        lambda one: f"{one.asterisk_mb_of_node:,.0f} MB",
    ),
    (
        ("Asterisk's open files, one node", "Asterisk が開くファイル、1 ノード"),
        lambda one: f"{one.open_files_of_node:,.0f}",
    ),
)


def _talking(measured: CallCost, found: Mapping[str, float], place: int) -> str:
    talk = TalkCost(*(found[each.name] for each in fields(TalkCost)))
    carries = [talk_load(measured, talk, demand, TALK_S) for demand in DEMANDS]
    least = [nodes_for(measured, talk, demand, TALK_S, BUSY * PROCESSORS) for demand in DEMANDS]
    head = (("calls per day", "1 日の通話")[place], *(f"{demand.calls_per_day:,.0f}" for demand in DEMANDS))
    nodes = (("nodes", "ノード")[place], *(str(demand.nodes) for demand in DEMANDS))
    fewest = (
        f"fewest nodes with {PROCESSORS} processors, {BUSY:.0%} of them busy",
        f"最少のノード({PROCESSORS} プロセッサーの {BUSY:.0%} まで使う場合)",
    )
    rows = [nodes, *((words[place], *map(figure, carries)) for words, figure in _CARRIES)]
    return _table(head, [*rows, (fewest[place], *map(str, least))])


_SERVERS: Final = (1, 2, 4)
_OF_A_SERVER: Final[Sequence[tuple[tuple[str, str], Callable[[ServerSizing], str]]]] = (
    (("nodes per server", "1 台に複製するノード"), lambda one: f"{one.nodes:.0f}"),
    (("rows per second", "毎秒の行"), lambda one: f"{one.rows_per_s:,.0f}"),
    (("processors busy, with standby", "使うプロセッサー(待機系を含む)"), lambda one: f"{one.processors:.2f}"),
    (("bytes in five years", "5 年の容量"), lambda one: f"{5 * one.bytes_per_year / 1e12:.0f} TB"),
    (
        ("time for one processor to replay a day's outage", "1 日の停止後、1 プロセッサーで追いつくまで"),
        lambda one: f"{60 * one.replay_hours:.0f} min",
    ),
)


def _servers(measured: CallCost, found: Mapping[str, Any], place: int) -> str:
    replay_ms = found["away"]["replay_postgresql_ms"]
    sizes = [size_server(measured, DEMANDS[-1], servers, replay_ms) for servers in _SERVERS]
    head = (("PostgreSQL servers", "PostgreSQL サーバー")[place], *map(str, _SERVERS))
    return _table(head, [(words[place], *map(figure, sizes)) for words, figure in _OF_A_SERVER])


def _two_servers(found: Mapping[str, Any], place: int) -> str:
    one, two, ratio = found["one"], found["two"], found["two_to_one"]
    read, away, moved = found["read"], found["away"], found["moved"]
    rows = (
        (
            ("PostgreSQL processor time per call", "1 通話の PostgreSQL のプロセッサー時間"),
            f"{one['postgresql_ms']:.2f} ms", f"{two['postgresql_ms']:.2f} ms", f"{ratio['postgresql_ms']:.2f}",
        ),
        (
            ("of this, on the busiest server", "そのうち最も忙しいサーバー"),
            f"{one['busiest_server_ms']:.2f} ms", f"{two['busiest_server_ms']:.2f} ms",
            f"{ratio['busiest_server_ms']:.2f}",
        ),
        (
            ("calls per second, if all replicas are filled at once", "全複製を同時に作るときの毎秒の通話"),
            f"{one['calls_per_s']:,.0f}", f"{two['calls_per_s']:,.0f}", f"{ratio['calls_per_s']:.2f}",
        ),
        (
            ("reading the newest 50 calls of all nodes", "全ノードの最新 50 通話の読取り"),
            "", "", f"{read['list_ratio']:.2f}",
        ),
        (("reading the states of all nodes", "全ノードの状態の読取り"), "", "", f"{read['states_ratio']:.2f}"),
        (
            ("steps per second that a node replicates after an outage", "停止後に 1 ノードが複製する毎秒のステップ"),
            "", f"{away['replayed_steps_per_s']:,.0f}", "",
        ),
        (
            ("steps per second that a moving node replicates", "移動するノードの毎秒のステップ"),
            "", f"{moved['steps_per_s']:,.0f}", "",
        ),
    )  # fmt: skip
    head = (("", "one server", "two", "ratio"), ("", "1 台", "2 台", "比"))[place]
    return _table(head, [(words[place], *figures) for words, *figures in rows])


def _model(compared: Sequence[Mapping[str, float]], place: int) -> str:
    names = [name for name in compared[0] if name != "nodes"]
    said = {
        "rows_per_s": ("rows", "行"),
        "database_bytes_per_s": ("bytes in PostgreSQL", "PostgreSQL の容量"),
        "wal_bytes_per_s": ("WAL", "WAL"),
        "ledger_bytes_per_s": ("bytes on the nodes", "ノードの容量"),
    }
    head = [("nodes", "ノード")[place], *(said[name][place] if name in said else name for name in names)]
    return _table(head, [[str(int(row["nodes"])), *(f"{row[name]:.2f}" for name in names)] for row in compared])


def replace_tables(text: str, made: Mapping[str, str]) -> str:
    """Put tables into a page, between their markers."""
    for name, table in made.items():
        text, count = re.subn(
            rf"(?<=<!-- {name} -->\n)(.*?)(?=<!-- end -->)",
            lambda _, table=table: table,
            text,
            count=1,
            flags=re.DOTALL,
        )
        assert count, f"no marker {name}"
    return text


def main() -> None:
    """Store the figures of new runs, and write the tables into both pages."""
    figures = json.loads(FIGURES.read_text("utf-8"))
    for path in sys.argv[1:]:
        found = json.loads(Path(path).read_text("utf-8"))
        if "asterisk_ms_per_s" in found:
            figures["talking"] = found
        elif "two_to_one" in found:
            figures["servers"] = found
        elif "measured" in found:
            figures |= {name: found[name] for name in ("measured", "over_predicted")}
        else:
            figures |= found
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    for language, page in PAGES.items():
        page.write_text(replace_tables(page.read_text("utf-8"), tables(figures, language)), "utf-8")


if __name__ == "__main__":
    main()
