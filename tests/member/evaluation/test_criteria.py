"""The file of criteria: the sample has no fault, and each fault is reported with its place."""

import pytest
from typer.testing import CliRunner

from idtone.core.errors import DocumentError
from idtone.office_cli import app
from lab.member.evaluation.sample_figures import CRITERIA, NODE, ROOT, SAMPLE, criteria

FAULTS = [
    # what is replaced, by what, the field, the problem
    ("measure: sent-ratio", "measure: eval(1)", "criteria[0].measure", "is not one of the possible values"),
    ("{at_least: 0.98, points: 7}", "{at_least: 0.999, points: 7}", "criteria[0].points[1]", "is not easier"),
    ("{at_least: 0.98, points: 7}", "{at_least: 0.98, points: 11}", "criteria[0].points[1]", "for fewer points"),
    ("{at_most: 24, points: 6}", "{at_least: 24, points: 6}", "criteria[2].points[1]", "`at_most` alone"),
    ("minimum: {excellent: 7, good: 4}", "minimum: {best: 7}", "criteria[0].minimum.best", "is not one of `grades`"),
    ("minimum: {excellent: 7, good: 4}", "minimum: {good: 11}", "criteria[0].minimum.good", "more than the 10 points"),
    ("id: stops", "id: sound", "criteria[2].id", "is there twice"),
    ("percent: 75", "percent: 90", "grades[1].percent", "is not below"),
    ("witnesses_needed: 1", "witnesses_needed: 2", "evaluation.witnesses_needed", "is more than `witnesses` has"),
    ("list: https://", "list: http://", "evaluation.list", "is not an address"),
    ("weight: 3\n    minimum: {excellent: 6}", "weight: 0\n    minimum: {excellent: 6}", "criteria[2].weight", "less"),
]


@pytest.mark.parametrize(("old", "new", "field", "problem"), FAULTS, ids=[f"{f[2]} {f[3]}" for f in FAULTS])
def test_a_fault_has_its_place(old, new, field, problem):
    assert CRITERIA.count(old) == 1
    with pytest.raises(DocumentError) as raised:
        criteria(CRITERIA.replace(old, new))
    [fault] = raised.value.faults
    assert fault.field == field
    assert problem in fault.problem
    assert fault.line


def test_the_key_of_a_log_is_no_witness():
    with pytest.raises(DocumentError, match="is the key of a log"):
        criteria(SAMPLE.replace("witnesses: []", f"witnesses: ['{NODE.key}']"))


def test_the_sample_can_be_shown():
    shown = CliRunner().invoke(app, ["evaluation", "check", str(ROOT / "config" / "evaluation.yaml")])
    assert shown.exit_code == 0, shown.output
    assert "≥ 0.995: 10, ≥ 0.98: 7, ≥ 0.95: 4" in " ".join(shown.output.split())
    assert criteria(SAMPLE).sha256 in shown.output
