"""`idtone-office member find`, by name or id, and by number."""

from lab.registry.trust.association import STOPPED


def test_members_are_found_by_a_part_of_their_names_or_ids(new_office):
    for text, found in (
        ("良い", ["m-0001"]),
        ("GOOD", ["m-0001"]),
        ("L-0001", ["m-0001"]),
        ("m-000", ["m-0001", "m-0002"]),
        ("x!", []),
    ):
        code, report, _ = new_office.run("member find", text, "--json")
        assert ([member["id"] for member in report["members"]], code) == (found, not found), text
    assert new_office.run("member find", "x!") == (1, "nothing was found\n", "")


def test_the_holder_of_a_number_is_found_without_the_command_line(new_office):
    more = '  - {numbers: "039999999*", since: 2026-11-02T00:00:00+09:00, reference: R-2}\n'
    more += "  - {member: m-0002, since: 2026-11-02T00:00:00+09:00, reference: R-3}\n"
    new_office.suspensions.write_text(STOPPED + more)
    for typed, held, stopped in (
        ("0312345678", ["m-0001"], 0),
        ("03-1234-5677", ["m-0001"], 1),
        ("0312340001", ["m-0002"], 1),
        ("0399999999", [], 1),
        ("0399999989", [], 0),
    ):
        code, report, error = new_office.run("member find", "--json", typed=f"{typed}\n")
        assert ([member["id"] for member in report["members"]], len(report["suspensions"])) == (held, stopped)
        assert (code, typed in f"{report}{error}") == (not held and not stopped, False)
    assert len(new_office.run("member find", "m-0002", "--json")[1]["suspensions"]) == 1
