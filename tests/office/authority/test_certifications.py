"""Certifications of members and resellers, as the office records them."""

import json
from datetime import datetime, timedelta

import pytest

from idtone.core.japan_time import JAPAN
from idtone.office.authority.change_registry import registry_of
from idtone.office.authority.operator_list import operator_list_json
from idtone.office.authority.workspace import Workspace
from lab.office.authority.office import WHY

NOTICE = (
    "--number",
    "A-1",
    "--until",
    "2028-03-31",
    "--document",
    "認定通知書 2026-03-25",
    "--next-check",
    "2027-03-01",
)
MARK = ("--mark", "E-1", "--mark-until", "2027-12-31")


def test_of_a_member_and_again(office):
    told = office.json("member certify", "m-0001", *NOTICE, *MARK)
    assert (told["action"], told["subject"]) == ("certify", "m-0001")
    words = "A-1 until 2028-03-31, by 認定通知書 2026-03-25, next check 2027-03-01, mark E-1 until 2027-12-31"
    assert told["what"] == [f"member m-0001: the certification is {words}, was none"]
    later = (
        "--number",
        "A-2",
        "--until",
        "2029-04-01",
        "--document",
        "認定通知書 2027-03-25",
        "--next-check",
        "2028-03-01",
    )
    again = office.json("member certify", "m-0001", *later)
    assert again["what"][0].endswith(f", was {words}")
    recorded = registry_of(Workspace(office.folder)).members[0].certification
    assert recorded is not None
    assert (recorded.number, recorded.mark) == ("A-2", "E-1")
    assert "that would change nothing" in office.refused("member certify", "m-0001", *later)


def test_of_the_reseller_of_a_link(office):
    numbers = "0312345600-0312345609\n\n"
    office.json("chain add", "m-0001", "m-0002", *WHY, typed=numbers)
    told = office.json("chain certify", "m-0002", *NOTICE, typed=numbers)
    assert told["action"] == "certify-link"
    [link] = registry_of(Workspace(office.folder)).chains[0].links
    assert link.certification is not None
    assert link.certification.document == "認定通知書 2026-03-25"
    assert "has no link to 'm-0001'" in office.refused("chain certify", "m-0001", *NOTICE, typed=numbers)


def test_the_public_list_leaves_a_member_out_whose_certification_has_lapsed(office):
    office.json("member certify", "m-0001", *NOTICE, *MARK)
    document = registry_of(Workspace(office.folder))

    def until(issued: datetime) -> list[str]:
        """The ends of m-0001's licences, according to the list of a registry issued at `issued`."""
        header = document.registry.model_copy(update={"issued": issued})
        listed = json.loads(operator_list_json(document.model_copy(update={"registry": header}), None))
        return [each["licences"][0]["valid_until"] for each in listed["operators"] if each["member"] == "m-0001"]

    check = datetime(2027, 3, 1, tzinfo=JAPAN)
    assert until(document.registry.issued) == until(check - timedelta(seconds=1)) == ["2027-03-01T00:00:00+09:00"]
    assert until(check) == [], "the check is overdue"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"--document": "登記事項証明書"}, "proves no certification"),
        ({"--until": "2028-4-1x"}, "--until"),
        ({"--number": ""}, "--number is not a readable text"),
        ({"--mark": "E-1"}, "--mark and --mark-until go together"),
    ],
)
def test_a_fault_changes_nothing(office, change, told):
    words = dict(zip(NOTICE[::2], NOTICE[1::2], strict=True)) | change
    assert told in office.refused("member certify", "m-0001", *(each for pair in words.items() for each in pair))
