"""Stopping conditions: each finding has one, the registry's keys sign them, and the public can read them."""

import json

import pytest

from idtone.core.errors import DocumentError
from idtone.core.settings.settings import RegistrySettings
from idtone.member.misuse.stopping_conditions import conditions_for
from idtone.office.authority.change_registry import registry_of
from idtone.office.authority.stopping_conditions import FINDINGS, conditions_of, sample_conditions
from idtone.office.authority.workspace import Workspace
from lab.office.authority.office import WHY
from lab.repository import ROOT

SAMPLE = (ROOT / "config" / "stopping_conditions.yaml").read_text("utf-8")


def test_the_sample_has_a_condition_for_each_finding_and_stops_on_none_by_itself():
    conditions = sample_conditions().stopping_conditions
    assert {each.finding for each in conditions if each.finding} == set(FINDINGS)
    assert "stop" not in {each.leads_to for each in conditions if each.finding}
    assert "stop" in {each.leads_to for each in conditions}


def test_conditions_are_entered_signed_and_published(office, tmp_path):
    told = office.json("condition enter", *WHY)
    assert told["action"] == "stopping-conditions"
    assert told["what"][0] == "the version of the stopping conditions is sample-1, was none"
    words = "pings: the member reports it to the police or the association; days at most: 1;"
    assert any(words in each for each in told["what"])
    assert "sample-1 was entered before" in office.refused("condition enter", *WHY)
    file = tmp_path / "c.yaml"
    changed = SAMPLE.replace("finding: pings, leads_to: report", "finding: pings, leads_to: ask")
    file.write_text(changed.replace("sample-1", "2027-1"), "utf-8")
    told = office.json("condition enter", file, *WHY)
    assert len(told["what"]) == 2, "the version and one condition"
    office.json("publication publish", "--site", tmp_path / "site", *office.all_keys())
    listed = json.loads((tmp_path / "site" / "operators.json").read_bytes())["stopping_conditions"]
    assert (listed["version"], len(listed["conditions"])) == ("2027-1", len(sample_conditions().stopping_conditions))
    assert office.json("condition list")["version"] == "2027-1"
    assert registry_of(Workspace(office.folder)).stopping_version == "2027-1"
    assert "sample-1 was entered before" in office.refused("condition enter", *WHY), "its text is published already"
    agreed = ("stopping-conditions", "--version", "2026-9", "--since", "2026-11-01", "--document", "契約書 3")
    office.output("member agree", "m-0001", *agreed)
    file.write_text(SAMPLE.replace("sample-1", "2026-9"), "utf-8")
    assert "2026-9 was entered before, or members have agreed" in office.refused("condition enter", file, *WHY)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("finding: pings", "finding: none-such", "is no finding of"),
        ("finding: pings, ", "", "has no condition for the finding pings"),
        ("leads_to: report, within_days: 1", "leads_to: burn, within_days: 1", "leads_to"),
        ("id: F-2", "id: F-1", "is there twice"),
        ("within_days: 7", "within_days: 999", "within_days"),
        ("stopping_version: sample-1\n", "", "stopping_version"),
    ],
)
def test_what_nobody_could_rely_on_is_refused(office, tmp_path, old, new, told):
    file = tmp_path / "c.yaml"
    assert old in SAMPLE
    file.write_text(SAMPLE.replace(old, new, 1), "utf-8")
    assert told in office.refused("condition enter", file, *WHY)


def test_a_form_says_which_row_is_wrong():
    rows = [each.model_dump(exclude_none=True) for each in sample_conditions().stopping_conditions]
    rows[2]["within_days"] = "soon"
    with pytest.raises(DocumentError, match=r"stopping_conditions\[2\].within_days"):
        conditions_of("2", rows, "the form")


def test_a_member_reads_what_the_registry_says_of_a_finding(office):
    def told(finding: str) -> list[str]:
        return [*map(str, conditions_for(RegistrySettings(source=str(office.registry), trust="unsigned"), finding))]

    assert told("pings") == ["The registry has no stopping conditions of the association."]
    office.json("condition enter", *WHY)
    head, line = told("pings")
    assert (head, line[:13]) == ("The association's stopping conditions, version sample-1:", "  F-3 pings: ")
    office.registry.write_text("registry: none")
    assert told("pings") == ["The registry of this machine cannot be read, so its stopping conditions are not known."]
