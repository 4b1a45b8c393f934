"""`idtone authority find`, by name or id, and by number."""

from __future__ import annotations

import pytest

from ..registry.trust.association import STOPPED


@pytest.mark.parametrize(
    ("text", "found"), [("良い", ["m-0001"]), ("GOOD", ["m-0001"]), ("L-0001", ["m-0001"]), ("m-000", None), ("x!", [])]
)
def test_members_are_found_by_a_part_of_their_names_or_ids(new_office, text, found):
    code, report, _ = new_office.run("find", new_office.folder, text, "--json")
    wanted = ["m-0001", "m-0002"] if found is None else found
    assert ([member["id"] for member in report["members"]], code) == (wanted, not wanted)


@pytest.mark.parametrize(
    ("typed", "held", "stopped"),
    [("0312345678", ["m-0001"], 0), ("03-1234-5677", ["m-0001"], 1), ("0399999999", [], 0)],
)
def test_the_holder_of_a_number_is_found_without_the_command_line(new_office, typed, held, stopped):
    new_office.suspensions.write_text(STOPPED)
    code, report, error = new_office.run("find", new_office.folder, "--json", typed=f"{typed}\n")
    assert ([member["id"] for member in report["members"]], len(report["suspensions"])) == (held, stopped)
    assert (code, typed in f"{report}{error}") == (not held, False)


def test_what_is_not_found_is_one_line(new_office):
    assert new_office.run("find", new_office.folder, "x!") == (1, "nothing was found\n", "")
