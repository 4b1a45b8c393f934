"""Generates the Grafana dashboards in config/monitoring, in English and Japanese, from one table.

`python -m tools.dashboards` writes them, as does `make docs`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.repository import ROOT

FOLDER: Final = ROOT / "config" / "monitoring"
WIDTH: Final = 24
"""Width of a Grafana dashboard in columns."""
CHOSEN: Final = 'instance=~"$instance"'
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel. `queries` maps expressions to their legends.

    Values below `red_below` or above `red_above` are red.
    """

    en: str
    ja: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    red_below: float | None = None
    red_above: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    en: str
    ja: str
    panels: tuple[Panel, ...]


def rate(counter: str, by: str = "instance") -> str:
    return f"sum by ({by}) (rate({counter}{{{CHOSEN}}}[$__rate_interval]))"


def gauge(name: str) -> str:
    return f"{name}{{{CHOSEN}}}"


def quantile(share: float, name: str) -> str:
    return f"histogram_quantile({share}, {rate(f'{name}_bucket', 'instance, le')})"


EACH: Final = "{{instance}}"


def share_with_sound(name: str) -> str:
    """Expression for the share of calls that the metric `name` counts, among the last hour's calls with a sound."""
    return (
        f"sum by (instance) (increase({name}{{{CHOSEN}}}[1h]))"
        f" / sum by (instance) (increase(idtone_calls_with_sound_total{{{CHOSEN}}}[1h]))"
    )


ROWS: Final = (
    Row("State", "状態", (
        Panel("Service answers", "サービスの応答", {f'up{{job="idtone",{CHOSEN}}}': EACH}, kind="stat", red_below=1),
        Panel("ARI is connected", "ARI の接続", {gauge("idtone_ari_connected"): EACH}, kind="stat", red_below=1),
        Panel("Hook is loaded", "フックの読み込み", {gauge("idtone_hook_loaded"): EACH}, kind="stat", red_below=1),
        Panel(
            "Registry expires in", "登録簿の残り期限",
            {f"{gauge('idtone_registry_expires_timestamp_seconds')} - time()": EACH}, "s", "stat", red_below=86400,
        ),
        Panel(
            "Sound failed, last hour", "音を再生できなかった割合(1 時間)",
            {share_with_sound("idtone_calls_sound_failed_total"): EACH}, "percentunit", "stat", red_above=0.05,
        ),
        Panel(
            "Damaged sound files", "破損した音声ファイル", {gauge("idtone_sound_files_damaged"): EACH}, kind="stat",
            red_above=1,
        ),
        Panel(
            "Steps not written", "未記録の証跡ステップ", {gauge("idtone_ledger_unwritten_steps"): EACH}, kind="stat",
            red_above=1,
        ),
        Panel(
            "Steps of others", "idtone 以外のステップ", {gauge("idtone_ledger_quarantined_steps"): EACH}, kind="stat",
            red_above=1,
        ),
        Panel(
            "Damaged ledgers", "壊れた台帳", {gauge("idtone_ledger_set_aside"): EACH}, kind="stat", red_above=1,
        ),
        Panel(
            "Evidence is signed", "証跡の署名", {gauge("idtone_ledger_signed"): EACH}, kind="stat", red_below=1,
        ),
        Panel(
            "Log ends not signed", "終わりが未署名のログ", {gauge("idtone_ledger_unsigned_ends"): EACH}, kind="stat",
            red_above=1,
        ),
        Panel(
            "Room on the disk", "ディスクの残り日数", {gauge("idtone_ledger_room_seconds"): EACH}, "s", "stat",
            red_below=30 * 86400,
        ),
    )),
    Row("Calls", "通話", (
        Panel(
            "Decisions by outcome", "結果別の判定", {rate("idtone_decisions_total", "outcome"): "{{outcome}}"}, "cps",
        ),
        Panel("Decisions by reason", "理由別の判定", {rate("idtone_decisions_total", "reason"): "{{reason}}"}, "cps"),
        Panel(
            "Decisions by interface and direction", "方式・方向別の判定",
            {rate("idtone_decisions_total", "interface, direction"): "{{interface}} {{direction}}"}, "cps",
        ),
        Panel("Calls in progress", "進行中の通話", {gauge("idtone_calls_in_progress"): EACH}),
        Panel(
            "Chain tokens of other nodes", "他のノードのチェーントークン",
            {rate("idtone_chain_tokens_total", "result"): "{{result}}"}, "cps",
        ),
        Panel(
            "Emergency calls of suspended numbers", "停止中の番号からの緊急通報",
            {rate("idtone_emergency_calls_of_suspended_numbers_total", "instance"): EACH}, "cps",
        ),
        Panel(
            "Calls with another member's number", "他の会員の番号を使った通話",
            {rate("idtone_foreign_number_calls_total", "instance"): EACH}, "cps",
        ),
        Panel("Ends of calls", "通話の終わり方", {rate("idtone_calls_ended_total", "status"): "{{status}}"}, "cps"),
        Panel(
            "Sound sent and confirmed, last hour", "音が送信された割合と確認された割合(1 時間)",
            {
                share_with_sound("idtone_calls_sent_total"): "sent {{instance}}",
                share_with_sound("idtone_calls_confirmed_total"): "confirmed {{instance}}",
            },
            "percentunit",
        ),
    )),
    Row("Brake", "発信の抑止", (
        Panel(
            "Marked, slowed, stopped", "記録・抑制・停止中", {gauge("idtone_brake_subjects"): "{{step}} {{instance}}"},
        ),
        Panel(
            "Steps, surges, and whether nodes share stops", "段階の変化、一斉の増加、停止の共有",
            {
                rate("idtone_brake_steps_total", "step"): "{{step}}",
                gauge("idtone_brake_surge"): "surge {{instance}}", gauge("idtone_brake_shared"): "shared {{instance}}",
            },
        ),
    )),
    Row("Canary calls", "カナリア通話", (
        Panel("The sound arrives", "音の到達", {gauge("idtone_canary_good"): EACH}, kind="stat", red_below=1),
        Panel(
            "Since the last call", "最後の発信からの時間",
            {f"time() - {gauge('idtone_canary_timestamp_seconds')}": "since the last {{instance}}",
             gauge("idtone_canary_every_seconds"): "period {{instance}}"}, "s",
        ),
        Panel("Level that arrived", "届いた音のレベル", {gauge("idtone_canary_level_decibels"): EACH}, "dBm"),
    )),
    Row("Timestamps", "タイムスタンプ", (
        Panel(
            "Since the last timestamp", "最後のタイムスタンプからの時間",
            {f"time() - {gauge('idtone_stamped_timestamp_seconds')}": "since the last {{instance}}",
             gauge("idtone_stamped_every_seconds"): "period {{instance}}"}, "s",
        ),
    )),
    Row("Backups", "バックアップ", (
        Panel(
            "Since the last backup", "最後のバックアップからの時間",
            {f"time() - {gauge('idtone_backup_timestamp_seconds')}": "since the last {{instance}}",
             gauge("idtone_backup_every_seconds"): "period {{instance}}",
             f"time() - {gauge('idtone_backup_drill_timestamp_seconds')}": "since the last drill {{instance}}"}, "s",
        ),
    )),
    Row("Delays", "所要時間", (
        Panel(
            "From the request to the decision", "問い合わせから判定まで",
            {quantile(0.5, "idtone_decision_seconds"): "p50 {{instance}}",
             quantile(0.99, "idtone_decision_seconds"): "p99 {{instance}}"}, "s",
        ),
        Panel(
            "From the answer to the connection", "応答から接続まで",
            {quantile(0.5, "idtone_connect_seconds"): "p50 {{instance}}",
             quantile(0.99, "idtone_connect_seconds"): "p99 {{instance}}"}, "s",
        ),
        Panel("Journal not read for", "ジャーナルの未読時間", {gauge("idtone_journal_lag_seconds"): EACH}, "s"),
        Panel(
            "Sound files changed, last hour", "変更された音声ファイル(1 時間)",
            {f"increase({gauge('idtone_sound_file_changes_total')}[1h])": EACH},
        ),
        Panel(
            "Journal files held open, last hour", "開かれたままのジャーナルファイル(1 時間)",
            {f"increase({gauge('idtone_journal_held_files_total')}[1h])": EACH},
        ),
    )),
    Row("Registry", "登録簿", (
        Panel("Version", "版", {gauge("idtone_registry_version"): EACH}),
        Panel("The node's member is known", "ノードの会員", {gauge("idtone_member_known"): EACH}),
        Panel("Age", "発行からの時間", {f"time() - {gauge('idtone_registry_issued_timestamp_seconds')}": EACH}, "s"),
        Panel("Suspensions in force", "有効な番号停止の数", {gauge("idtone_suspensions_in_force"): EACH}),
        Panel(
            "Licence lapses in", "利用許諾の失効まで",
            {f"{gauge('idtone_licence_lapses_timestamp_seconds')} - time()": "{{instance}} {{direction}}"}, "s",
        ),
        Panel(
            "First certification lapses in", "最初の認定の失効まで",
            {f"{gauge('idtone_certification_lapses_timestamp_seconds')} - time()": EACH}, "s",
        ),
        Panel(
            "Entries of numbers that never originate", "発信に使われない番号の項目数",
            {gauge("idtone_never_originates_entries"): EACH},
        ),
        Panel(
            "Numbers of the customers' lines", "利用者の回線の番号",
            {gauge("idtone_lines_numbers"): "numbers {{instance}}",
             gauge("idtone_lines_current"): "newest in use {{instance}}"},
        ),
    )),
    Row("Evidence", "証跡", (
        Panel(
            "Steps not written, not replicated", "未記録・未複製のステップ",
            {gauge("idtone_ledger_unwritten_steps"): "not written {{instance}}",
             gauge("idtone_ledger_unreplicated_steps"): "not replicated {{instance}}"},
        ),
        Panel(
            "Reserve", "予備領域",
            {gauge("idtone_ledger_reserve_bytes"): "left {{instance}}",
             gauge("idtone_ledger_reserve_size_bytes"): "size {{instance}}"}, "bytes",
        ),
        Panel("Free disk space", "ディスクの空き", {gauge("idtone_ledger_free_bytes"): EACH}, "bytes"),
    )),
    Row("Process", "プロセス", (
        Panel("Processor", "CPU", {rate("process_cpu_seconds_total"): EACH}, "percentunit"),
        Panel("Memory", "メモリー", {gauge("process_resident_memory_bytes"): EACH}, "bytes"),
        Panel(
            "Hand-overs, reconnects to ARI", "引き継ぎ、ARI への再接続",
            {gauge("idtone_hand_overs_total"): "hand-overs {{instance}}",
             gauge("idtone_ari_reconnects_total"): "reconnects {{instance}}"},
        ),
        Panel(
            "Clock against Prometheus", "Prometheus との時計の差",
            {f"{gauge('idtone_clock_timestamp_seconds')} - timestamp({gauge('idtone_clock_timestamp_seconds')})": EACH},
            "s",
        ),
    )),
)  # fmt: skip


def dashboard(japanese: bool) -> str:
    made = {
        "uid": "idtone-ja" if japanese else "idtone",
        "title": "idtone(転送通話の識別音)" if japanese else "idtone: identification sound on forwarded calls",
        "tags": ["idtone"],
        "schemaVersion": 39,
        "editable": True,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables(japanese))},
        "panels": list(_panels(japanese)),
    }
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def _variables(japanese: bool) -> Iterator[dict[str, Any]]:
    yield {
        "name": "datasource",
        "type": "datasource",
        "query": "prometheus",
        "label": "データソース" if japanese else "Data source",
    }
    yield {
        "name": "instance", "type": "query", "datasource": DATASOURCE, "label": "PBX",
        "query": {"query": "label_values(idtone_build_info, instance)", "refId": "instances"},
        "includeAll": True, "allValue": ".*", "multi": True, "refresh": 2, "sort": 1,
        "current": {"text": ["All"], "value": ["$__all"]},
    }  # fmt: skip


def _panels(japanese: bool) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for row in ROWS:
        number += 1
        title = row.ja if japanese else row.en
        yield {"id": number, "type": "row", "title": title, "gridPos": _place(0, top, WIDTH, 1), "panels": []}
        top += 1
        across = 6 if row.panels[0].kind == "stat" else 3
        width, height = WIDTH // across, 4 if across == 6 else 8
        for place, panel in enumerate(row.panels):
            number += 1
            grid = _place(place % across * width, top + place // across * height, width, height)
            yield _panel(panel, number, grid, japanese)
        top += -(-len(row.panels) // across) * height


def _place(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def _panel(panel: Panel, number: int, grid: dict[str, int], japanese: bool) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    if panel.red_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.ja if japanese else panel.en,
        "datasource": DATASOURCE,
        "gridPos": grid,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": DATASOURCE, "expr": query, "legendFormat": legend}
            for place, (query, legend) in enumerate(panel.queries.items())
        ],
    }


def dashboards() -> dict[Path, str]:
    """Path of each dashboard's file → its JSON text."""
    return {FOLDER / f"idtone-dashboard{'.ja' if japanese else ''}.json": dashboard(japanese) for japanese in (0, 1)}


def all_expressions() -> list[str]:
    return [query for row in ROWS for panel in row.panels for query in panel.queries]


def write() -> None:
    for path, text in dashboards().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    write()
