"""The alert rules and dashboards in config/monitoring fit the metrics, and the right alerts fire."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import ConfigDict, TypeAdapter, ValidationError

from idtone.service.metrics import METRICS, MetricKind
from lab.alert_rules import ALERTS, RULES
from lab.prometheus import promtool
from lab.repository import ROOT
from tools.dashboards import all_expressions, dashboards

NAMES = {
    metric.name + ending
    for metric in METRICS
    for ending in (("_bucket", "_sum", "_count") if metric.kind is MetricKind.HISTOGRAM else ("",))
}
LABELS = {label for metric in METRICS for label in metric.labels} | {"job", "instance", "le", "alertname"}
WELL = {
    'up{job="idtone"}': "1x90",
    "idtone_ari_connected": "1x90",
    "idtone_hook_loaded": "1x90",
    "idtone_fallback_file_current": "1x90",
    "idtone_journal_lag_seconds": "0.4x90",
    "idtone_journal_held_files_total": "2x90",
    "idtone_registry_version": "42x90",
    "idtone_registry_expires_timestamp_seconds": "1000000x90",
    "idtone_canary_good": "1x90",
    "idtone_canary_timestamp_seconds": "0+60x90",
    "idtone_canary_every_seconds": "900x90",
    "idtone_stamped_timestamp_seconds": "0+60x90",
    "idtone_stamped_every_seconds": "1200x90",
    "idtone_backup_timestamp_seconds": "0+60x90",
    "idtone_backup_every_seconds": "1800x90",
    "idtone_ledger_unwritten_steps": "0x90",
    "idtone_ledger_signed": "1x90",
    "idtone_ledger_unsigned_ends": "0x90",
    "idtone_ledger_quarantined_steps": "0x90",
    "idtone_ledger_set_aside": "0x90",
    "idtone_started_timestamp_seconds": "100x90",
    "idtone_ledger_unreplicated_steps": "50x90",
    "idtone_ledger_replicated": "1x90",
    "idtone_ledger_reserve_bytes": "64000000x90",
    "idtone_ledger_reserve_size_bytes": "64000000x90",
    "idtone_ledger_free_bytes": "9000000000x90",
    "idtone_ledger_room_seconds": "34560000x90",
    "idtone_clock_timestamp_seconds": "0+60x90",
    "idtone_calls_with_sound_total": "0+100x90",
    "idtone_calls_sound_failed_total": "0+1x90",
    "idtone_sound_files_damaged": "0x90",
    "idtone_sound_file_changes_total": "2x90",
    'idtone_decisions_total{reason="licence-valid"}': "0+100x90",
    'idtone_decisions_total{reason="service-unavailable"}': "7x90",
    'idtone_decisions_total{reason="overload"}': "7x90",
    'idtone_decisions_total{reason="number-never-originates"}': "7x90",
    'idtone_decisions_total{reason="number-of-another-customer"}': "7x90",
    'idtone_decisions_total{reason="line-unknown"}': "7x90",
    "idtone_lines_current": "1x90",
    "idtone_lines_numbers": "1000x90",
    "idtone_emergency_calls_of_suspended_numbers_total": "3x90",
    "idtone_foreign_number_calls_total": "3x90",
    "idtone_member_known": "1x90",
    'idtone_brake_subjects{step="mark"}': "0x90",
    'idtone_brake_subjects{step="slow"}': "0x90",
    'idtone_brake_subjects{step="stop"}': "0x90",
    "idtone_brake_shared": "1x90",
    'idtone_decision_seconds_bucket{interface="ari",le="0.01"}': "0+100x90",
    'idtone_decision_seconds_bucket{interface="ari",le="1"}': "0+100x90",
    'idtone_decision_seconds_bucket{interface="ari",le="+Inf"}': "0+100x90",
}
"""Metrics of a healthy service, with a value for each minute."""
CASES: list[tuple[dict[str, str], set[str]]] = [
    ({}, set()),
    ({'up{job="idtone"}': "1x70 0x20"}, {"IdtoneDown"}),
    ({'idtone_decisions_total{reason="service-unavailable"}': "7x80 8x10"}, {"IdtoneFallback"}),
    ({'idtone_decisions_total{reason="suspensions-unknown"}': "7x80 8x10"}, {"IdtoneFallback"}),
    ({'idtone_decisions_total{reason="overload"}': "7x80 8x10"}, {"IdtoneOverload"}),
    (
        {'idtone_decisions_total{reason="number-of-another-customer"}': "7x80 8x10"},
        {"IdtoneNumberOfAnotherCustomer"},
    ),
    ({'idtone_decisions_total{reason="line-unknown"}': "7x80 8x10"}, {"IdtoneLineUnknown"}),
    ({"idtone_lines_current": "1x80 0x10"}, {"IdtoneLinesNotRead"}),
    ({"idtone_lines_current": "1x84 0x6"}, set()),
    ({"idtone_lines_numbers": "0x90"}, {"IdtoneLinesMissing"}),
    ({"idtone_lines_current": "_x90", "idtone_lines_numbers": "_x90"}, set()),  # without a table of lines
    ({'idtone_brake_subjects{step="stop"}': "0x80 1x10"}, {"IdtoneBrakeStopped"}),
    ({'idtone_brake_subjects{step="slow"}': "0x80 1x10"}, {"IdtoneBrakeRaised"}),
    ({'idtone_brake_subjects{step="mark"}': "0x80 1x10"}, {"IdtoneBrakeRaised"}),
    ({"idtone_brake_shared": "1x80 0x10"}, {"IdtoneBrakeNotShared"}),
    ({"idtone_brake_shared": "_x90"}, set()),  # one node
    ({"idtone_ari_connected": "1x80 0x10"}, {"IdtoneAriDisconnected"}),
    ({"idtone_hook_loaded": "1x80 0x10"}, {"IdtoneHookNotLoaded"}),
    ({"idtone_hook_loaded": "_x90"}, set()),  # Asterisk is away, which another alert says
    ({'idtone_decision_seconds_bucket{interface="ari",le="0.01"}': "0+90x90"}, {"IdtoneDecisionsSlow"}),
    ({"idtone_fallback_file_current": "1x80 0x10"}, {"IdtoneFallbackFileOld"}),
    (
        {"idtone_emergency_calls_of_suspended_numbers_total": "3x80 4x10"},
        {"IdtoneEmergencyOfSuspendedNumber"},
    ),
    ({"idtone_foreign_number_calls_total": "3x80 4x10"}, {"IdtoneForeignNumber"}),
    ({"idtone_member_known": "1x70 0x20"}, {"IdtoneMemberUnknown"}),
    ({'idtone_decisions_total{reason="number-never-originates"}': "7x80 8x10"}, {"IdtoneNumberNeverOriginates"}),
    ({"idtone_calls_sound_failed_total": "0+10x90"}, {"IdtoneSoundFails"}),
    (
        {"idtone_calls_sound_failed_total": "0+0.2x90", "idtone_calls_with_sound_total": "0+0.2x90"},
        set(),
    ),  # only twelve calls
    ({"idtone_sound_files_damaged": "0x80 1x10"}, {"IdtoneSoundFileChanged"}),
    ({"idtone_sound_file_changes_total": "0x80 1x10"}, {"IdtoneSoundFileChanged"}),
    ({"idtone_calls_sound_failed_total": "0x90", "idtone_calls_with_sound_total": "0x90"}, set()),
    (
        {"idtone_registry_version": "0x90", "idtone_registry_expires_timestamp_seconds": "_x90"},
        {"IdtoneRegistryMissing"},
    ),
    ({"idtone_registry_expires_timestamp_seconds": "90000x90"}, {"IdtoneRegistryExpiresSoon"}),
    ({'idtone_licence_lapses_timestamp_seconds{direction="incoming"}': "2000000x90"}, {"IdtoneLicenceLapsesSoon"}),
    ({'idtone_licence_lapses_timestamp_seconds{direction="incoming"}': "5000x90"}, {"IdtoneLicenceLapsed"}),
    ({'idtone_licence_lapses_timestamp_seconds{direction="incoming"}': "3000000x90"}, set()),
    ({"idtone_certification_lapses_timestamp_seconds": "2000000x90"}, {"IdtoneCertificationLapsesSoon"}),
    ({"idtone_certification_lapses_timestamp_seconds": "5000x90"}, {"IdtoneCertificationLapsed"}),
    ({"idtone_registry_expires_timestamp_seconds": "5000x90"}, {"IdtoneRegistryExpired"}),
    ({"idtone_canary_good": "1x84 0x5"}, {"IdtoneCanaryFailed"}),  # at once
    ({"idtone_canary_timestamp_seconds": "3600x90"}, {"IdtoneCanaryOverdue"}),  # 25 minutes ago
    ({"idtone_canary_timestamp_seconds": "4200x90"}, set()),  # 15 minutes ago
    ({"idtone_canary_timestamp_seconds": "5400x90"}, {"IdtoneCanaryOverdue"}),  # the clock was set back
    ({"idtone_canary_timestamp_seconds": "0x90", "idtone_canary_good": "_x90"}, {"IdtoneCanaryOverdue"}),  # never
    (
        {
            "idtone_canary_good": "_x90",
            "idtone_canary_timestamp_seconds": "_x90",
            "idtone_canary_every_seconds": "_x90",
        },
        set(),
    ),
    ({"idtone_stamped_timestamp_seconds": "1800x90"}, {"IdtoneTimestampOverdue"}),  # 55 minutes ago, 40 are allowed
    ({"idtone_stamped_timestamp_seconds": "3000x90"}, set()),  # 35 minutes ago
    ({"idtone_stamped_timestamp_seconds": "5400x90"}, {"IdtoneTimestampOverdue"}),  # the clock was set back
    ({"idtone_stamped_timestamp_seconds": "0x90"}, {"IdtoneTimestampOverdue"}),  # never
    ({"idtone_stamped_timestamp_seconds": "_x90", "idtone_stamped_every_seconds": "_x90"}, set()),  # no authority
    ({"idtone_backup_timestamp_seconds": "1800x90"}, {"IdtoneBackupOverdue"}),  # 55 minutes ago, 45 are allowed
    ({"idtone_backup_timestamp_seconds": "2400x90"}, set()),  # 45 minutes ago
    ({"idtone_backup_timestamp_seconds": "5400x90"}, {"IdtoneBackupOverdue"}),  # the clock was set back
    ({"idtone_backup_timestamp_seconds": "0x90"}, {"IdtoneBackupOverdue"}),  # never
    ({"idtone_backup_timestamp_seconds": "_x90", "idtone_backup_every_seconds": "_x90"}, set()),  # no recipients
    ({"idtone_ledger_unwritten_steps": "0x80 3x10"}, {"IdtoneEvidenceNotWritten"}),
    ({"idtone_ledger_signed": "1x80 0x10"}, {"IdtoneEvidenceNotSigned"}),
    ({"idtone_ledger_unsigned_ends": "0x80 1x10"}, {"IdtoneLogEndNotSigned"}),
    ({"idtone_ledger_quarantined_steps": "0x80 2x10"}, {"IdtoneEvidenceOfOthers"}),
    ({"idtone_ledger_set_aside": "0x80 1x10"}, {"IdtoneLedgerSetAside"}),
    ({"idtone_started_timestamp_seconds": "100x80 0+60x10"}, {"IdtoneRestarts"}),
    ({"idtone_started_timestamp_seconds": "100x84 5040x5"}, set()),  # one restart
    ({"idtone_journal_lag_seconds": "0.4x80 11x10"}, {"IdtoneJournalNotRead"}),
    ({"idtone_journal_held_files_total": "0x80 1x10"}, {"IdtoneJournalHeldOpen"}),
    ({"idtone_ledger_replicated": "1x80 0x10"}, {"IdtoneEvidenceNotReplicated"}),
    ({"idtone_ledger_unreplicated_steps": "20000x90"}, {"IdtoneEvidenceNotReplicated"}),
    ({"idtone_ledger_replicated": "_x90", "idtone_ledger_unreplicated_steps": "_x90"}, set()),  # without PostgreSQL
    ({"idtone_ledger_reserve_bytes": "64000000x80 0x10"}, {"IdtoneReserveUsed"}),
    ({"idtone_ledger_free_bytes": "9000000000x80 0x10"}, {"IdtoneLedgerDiskFull"}),
    ({"idtone_ledger_room_seconds": "2505600x90"}, {"IdtoneDiskRoomLow"}),
    ({"idtone_clock_timestamp_seconds": "-8+60x90"}, {"IdtoneClockWrong"}),
    ({"idtone_clock_timestamp_seconds": "4+60x90"}, set()),
]
"""Series that differ from `WELL`, and exactly the alerts that fire after 85 minutes."""
COLD: list[tuple[str, str]] = [
    ('idtone_decisions_total{reason="service-unavailable"}', "IdtoneFallback"),
    ('idtone_decisions_total{reason="overload"}', "IdtoneOverload"),
    ("idtone_emergency_calls_of_suspended_numbers_total", "IdtoneEmergencyOfSuspendedNumber"),
    ("idtone_foreign_number_calls_total", "IdtoneForeignNumber"),
    ('idtone_decisions_total{reason="number-never-originates"}', "IdtoneNumberNeverOriginates"),
    ('idtone_decisions_total{reason="number-of-another-customer"}', "IdtoneNumberOfAnotherCustomer"),
    ('idtone_decisions_total{reason="line-unknown"}', "IdtoneLineUnknown"),
    ("idtone_journal_held_files_total", "IdtoneJournalHeldOpen"),
    ("idtone_sound_file_changes_total", "IdtoneSoundFileChanged"),
]
CASES += [
    case
    for series, alert in COLD
    for case in (
        ({series: "_x80 71x10"}, {alert}),  # the service, or its monitoring, has just started
        ({series: "_x80 0x10"}, set[str]()),
        ({series: "_x40 71x50"}, set[str]()),  # it was told long ago
        ({series: "71x75 _x3 71x12"}, set[str]()),  # Prometheus missed some scrapes
    )
]
"""Counters that appear for the first time: what the hook did at night, while the service was down."""


def names(expression: str) -> set[str]:
    return set(re.findall(r"\bidtone_[a-z_]+", expression))


def test_each_alert_on_an_increase_is_tested_from_a_cold_start() -> None:
    counting = {alert["alert"] for alert in ALERTS if "increase(" in alert["expr"]}
    assert counting == {alert for _, alert in COLD} | {"IdtoneSoundFails"}


def test_each_alert_fires_when_it_should_and_no_other(tmp_path: Path) -> None:
    """All cases run at once, each as an instance of its own, because each run of promtool takes a second."""
    input_series = [
        {"series": _of(f"case {number}", series), "values": values}
        for number, (other, _) in enumerate(CASES)
        for series, values in (WELL | other).items()
    ]
    fired = [
        {"labels": f'{{instance="case {number}", alertname="{name}"}}', "value": 1}
        for number, (_, fire) in enumerate(CASES)
        for name in sorted(fire)
    ]
    test = {
        "interval": "1m",
        "input_series": input_series,
        "promql_expr_test": [
            {
                "expr": 'count by (instance, alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "85m",
                "exp_samples": fired,
            }
        ],
    }
    path = tmp_path / "tests.json"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test, lapsed()]}))
    promtool("test", "rules", path)
    assert {alert["alert"] for alert in ALERTS} == set().union(*(fire for _, fire in CASES))


def lapsed() -> dict[str, Any]:
    """The expected words of an alert about a direction; in Japanese, those of the law."""
    name = "idtone_licence_lapses_timestamp_seconds"
    directions = {"incoming": "着信転送", "outgoing": "発信転送"}
    [alert] = [each for each in ALERTS if each["alert"] == "IdtoneLicenceLapsed"]
    expected = []
    for direction, japanese in directions.items():
        words = {
            key: re.sub("{{ if .*{{ end }}", japanese, text)
            .replace("{{ $labels.instance }}", "n")
            .replace("{{ $labels.direction }}", direction)
            for key, text in alert["annotations"].items()
        }
        labels = {"severity": "critical", "instance": "n", "direction": direction}
        expected.append({"exp_labels": labels, "exp_annotations": words})
    return {
        "interval": "1m",
        "input_series": [
            {"series": _of("n", f'{name}{{direction="{direction}"}}'), "values": "5000x90"} for direction in directions
        ],
        "alert_rule_test": [{"eval_time": "85m", "alertname": "IdtoneLicenceLapsed", "exp_alerts": expected}],
    }


def _of(instance: str, series: str) -> str:
    name, _, labels = series.partition("{")
    return f'{name}{{instance="{instance}",{labels or "}"}'


def test_promtool_accepts_the_rules_and_their_texts() -> None:
    promtool("check", "rules", "--lint-fatal", RULES)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_in_both_languages_what_is_wrong_and_what_to_do(alert: dict[str, dict[str, str]]) -> None:
    assert set(alert["annotations"]) == {"summary", "action", "summary_ja", "action_ja"}
    for name, text in alert["annotations"].items():
        assert bool(re.search(r"[ぁ-んァ-ヶ]", text)) is name.endswith("_ja")


@pytest.mark.parametrize("page", ["docs/how-to/monitor.md", "docs/ja/how-to/monitor.md"])
def test_every_alert_is_explained_to_operators_with_its_severity(page: str) -> None:
    rows = [line.split("|") for line in (ROOT / page).read_text("utf-8").splitlines() if line.startswith("| `")]
    explained = {name: row[2].strip() for row in rows for name in re.findall(r"`(Idtone\w+)`", row[1])}
    assert explained == {alert["alert"]: alert["labels"]["severity"] for alert in ALERTS}


@pytest.mark.parametrize("path", dashboards(), ids=lambda path: path.name)
def test_a_dashboard_is_what_its_table_says(path: Path) -> None:
    assert path.read_text("utf-8") == dashboards()[path], "run make docs"


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """The values of a JSON document that are neither objects nor lists, with their paths."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        yield path, value
    for name, inner in items:
        yield from leaves(inner, f"{path}/{name}")


def wrong_types(value: object, path: str = "") -> Iterator[str]:
    """The fields of a model and of the models in it whose values do not have the declared type."""
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from wrong_types(each, f"{path}/{place}")
    if not type(value).__module__.startswith("grafana_foundation_sdk.models.") or isinstance(value, str | int):
        return
    for name, kind in get_type_hints(type(value)).items():
        inner = getattr(value, name)
        try:
            TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(inner)
        except ValidationError:
            yield f"{path}/{name}"
        yield from wrong_types(inner, f"{path}/{name}")


def faults(document: dict[str, Any]) -> set[str]:
    """The fields that Grafana's own model of a dashboard lacks, or has with another type."""
    register_default_plugins()
    read = Dashboard.from_json(document)
    known = dict(leaves(json.loads(json.dumps(read, cls=JSONEncoder))))
    return {path for path, value in leaves(document) if (path, value) not in known.items()} | set(wrong_types(read))


@pytest.mark.parametrize("path", dashboards(), ids=lambda path: path.name)
def test_a_dashboard_fits_the_model_of_grafana(path: Path) -> None:
    assert faults(json.loads(path.read_text("utf-8"))) == set()


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda panel: panel.update(gridpos=panel.pop("gridPos")), {f"/panels/1/gridpos/{each}" for each in "xywh"}),
        (lambda panel: panel["gridPos"].update(x="left"), {"/panels/1/grid_pos/x"}),
        (lambda panel: panel["targets"][0].update(query="up"), {"/panels/1/targets/0/query"}),
        (lambda panel: panel["fieldConfig"]["defaults"]["thresholds"].update(mode="relative"),
         {"/panels/1/field_config/defaults/thresholds/mode"}),
    ],
)  # fmt: skip
def test_the_model_of_grafana_finds_what_is_wrong(spoil: Callable[[dict[str, Any]], None], found: set[str]) -> None:
    document = json.loads(next(iter(dashboards().values())))
    spoil(document["panels"][1])
    assert faults(document) == found


@pytest.mark.parametrize("expression", [*(alert["expr"] for alert in ALERTS), *all_expressions()])
def test_rules_and_dashboards_use_metrics_and_labels_that_exist(expression: str) -> None:
    assert names(expression) <= NAMES
    grouped = ",".join(re.findall(r"by \(([^)]*)\)", expression)).replace(" ", "")
    matched = re.findall(r'(\w+)=~?"', expression)
    assert set(filter(None, [*grouped.split(","), *matched])) <= LABELS


def test_every_metric_but_the_version_is_on_the_dashboard() -> None:
    shown = set().union(*map(names, all_expressions()))
    assert {metric.name for metric in METRICS if not any(name.startswith(metric.name) for name in shown)} == {
        "idtone_build_info",
        "idtone_ledger_replicated",
        "idtone_fallback_file_current",
        "idtone_started_timestamp_seconds",
    }


def test_every_expression_of_the_dashboards_is_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{place}", "expr": each.replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for place, each in enumerate(all_expressions())
    ]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", path)
