"""The authority's decisions on the command line: what they change in the file, its comments and the history."""

import difflib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.persons import acting_person
from idtone.core.signed_notes import Signer
from idtone.office.authority.workspace import Workspace
from idtone.registry.parsers import parse_registry
from lab.office.authority.office import APPLICATION, STOP, TWICE, WHY, Office
from lab.registry.trust.association import STOPPED
from lab.repository import ROOT


def changed(before: str, after: str) -> list[str]:
    """Lines that were removed (-) and added (+)."""
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "-+"]


def applied(office: Office, text: str = APPLICATION) -> Path:
    path = office.folder.with_name("application.yaml")
    path.write_text(text)
    office.json("application accept", path)
    return path


def reviewed(office: Office, result: str = "passed") -> None:
    office.json("application review", "A-1", "--result", result, *WHY)


def granted(office: Office, text: str = APPLICATION) -> None:
    applied(office, text)
    reviewed(office)
    office.json("application grant", "A-1", "--since", "2026-12-01", "--until", "2027-11-30")


def test_from_the_application_to_the_member(office):
    commented = office.registry.read_text().replace("members:\n", "# the members\nmembers:  # all of them\n")
    office.registry.write_text(commented.replace("version: 42", "version: 43"))
    office.json("publication publish", *WHY, *office.all_keys())
    before = office.registry.read_text()
    granted(office)
    after = office.registry.read_text()
    assert [line for line in changed(before, after) if line.startswith("-")] == [f"- {before.splitlines()[0]}"]
    assert after.splitlines()[-10:] == [
        "  - id: m-0008",
        '    name: {ja: "八番電話株式会社", en: "Eighth Telecom"}',
        '    pledge: {signed: 2026-11-18, document: "2", until: 2027-11-18}',
        "    licences:",
        "      - id: L-0002",
        "        tone: sample",
        "        status: active",
        "        valid: {from: 2026-12-01T00:00:00+09:00, until: 2027-12-01T00:00:00+09:00}",
        "        directions: [incoming, outgoing]",
        '    numbers: ["0362345678", "+81362345700-+81362345799"]',
    ]
    document = parse_registry(after, "registry.yaml")
    assert (document.registry.version, document.members[2].name.ja) == (44, "八番電話株式会社")
    office.json("licence renew", "L-0002", "--until", "2028-12-01", *WHY)
    assert parse_registry(office.registry.read_text(), "").registry.version == 44, "no version was published in between"
    assert office.json("publication publish", *office.all_keys())["signed"] == [
        "registry",
        "snapshot",
        "timestamp",
    ]

    told = office.json("history show")
    assert [entry["action"] for entry in told[-5:]] == ["edit", "apply", "review", "grant", "renew"]
    assert told[-2]["what"] == [
        "member m-0008 is new: 八番電話株式会社 / Eighth Telecom, pledge signed 2026-11-18, version 2, until "
        "2027-11-17, licence L-0002, active, tone sample, incoming and outgoing, from 2026-12-01T00:00:00+09:00 until "
        "2027-11-30, 101 numbers"
    ]
    assert {entry["by"] for entry in told} == {str(acting_person())}
    assert told[-1]["signed"]["version"] == 3
    assert len(told[-1]["signed"]["keys"]) == 2
    text = office.output("history show")
    assert ("0362345678" in text, " in version 3 of registry\n" in text) == (False, True)


def test_a_member_asks_for_more(office):
    text = APPLICATION.replace("m-0008", "m-0002").replace("八番電話株式会社", "次の電話株式会社")
    granted(office, text.replace("Eighth", "Next"))
    document = parse_registry(office.registry.read_text(), "")
    assert [licence.id for licence in document.members[1].licences] == ["L-0002"]
    assert document.members[1].numbers == ("0312340001", "0362345678", "+81362345700-+81362345799")


def test_an_application_that_cannot_be_granted_is_refused(office):
    path = office.folder.with_name("application.yaml")
    for old, new, fault in (
        ("m-0008", "m-0001", "member m-0001 has another name in the registry"),
        ("sample", "other", "the registry has no tone 'other'"),
        ("0362345678", "0312345678", "is the same as members[0].numbers[0]"),
        ("0362345678", "0362", "application.numbers[0]"),
        ("pledge: {signed: 2026-11-18, ", "pledge: {", "application.pledge.signed: is missing"),
        ("until: 2027-11-18", "until: 2026-11-18", "application.pledge.until: is not after `signed`"),
        ("signed: 2026-11-18", "signed: 2026-11-21", "application.pledge.signed: is after `received`"),
        ("    - {document: 登記事項証明書, checked: 2026-11-19, by: Suzuki}", "    []", "application.identity"),
        ("A-1", "../A", "application.id: is not an id"),
    ):
        path.write_text(APPLICATION.replace(old, new))
        assert fault in office.refused("application accept", path), new


def test_only_an_application_that_passed_its_review_unchanged_is_granted(office):
    def stands(*options: str) -> list[str]:
        return [each["status"] for each in office.json("application list", *options)]

    grant, other = ("A-1", "--until", "2027-12-01"), APPLICATION.replace("345799", "345899")
    assert stands() == []
    assert "there is no application 'A-1'" in office.refused("application grant", *grant)
    path = applied(office)
    assert stands() == ["to be reviewed"]
    assert "has not passed its review" in office.refused("application grant", *grant)
    reviewed(office, "refused")
    assert (stands(), stands("--all")) == ([], ["refused"])
    assert "was refused; if the reason for that is gone" in office.refused("application grant", *grant)
    reviewed(office)
    assert stands() == ["to be granted"]
    path.write_text(other)
    office.json("application accept", path)
    assert "was changed after its review" in office.refused("application grant", *grant)
    assert stands() == ["changed after its review, to be reviewed again"]
    reviewed(office)
    office.json("application grant", *grant)
    assert (stands(), stands("--all")) == ([], ["granted"])
    assert office.run("application list")[:2] == (0, "no application waits\n")
    for command in (("application grant", *grant), ("application accept", path)):
        assert "was granted already" in office.refused(*command)


def test_a_licence_is_renewed_suspended_resumed_and_revoked(office):
    before = office.registry.read_text()
    refused = office.refused("licence renew", "L-0001", "--until", "2026-12-10", *WHY)
    assert "is already valid until 2037-01-09" in refused
    told = office.json("licence renew", "L-0001", "--until", "2038-01-09", *WHY)
    assert told["what"] == ["member m-0001: licence L-0001: the end is 2038-01-09, was 2037-01-09"]
    assert len(changed(before, office.registry.read_text())) == 4, "that line, and the one with the version"
    for command, status in (
        ("licence suspend", "suspended"),
        ("licence resume", "active"),
        ("licence revoke", "revoked"),
    ):
        told = office.json(command, "L-0001", *WHY)
        assert f"the status is {status}" in told["what"][0]
        assert f"cannot become {status}" in office.refused(command, "L-0001", *WHY)
    assert "cannot become active" in office.refused("licence resume", "L-0001", *WHY)
    assert "was revoked; grant another one" in office.refused("licence renew", "L-0001", "--until", "2029-01-10", *WHY)
    assert "no licence 'L-9'" in office.refused("licence revoke", "L-9", *WHY)


def test_numbers_are_assigned_and_released(office, tmp_path):
    told = office.json("number assign", "m-0002", *WHY, typed="03-6234-5678, 0362345700-0362345799\n")
    assert told["what"] == [
        "member m-0002: assigned: …5678",
        "member m-0002: assigned: …5700 to …5799 (100 numbers)",
    ]
    numbers = tmp_path / "numbers.txt"
    numbers.write_text("0362345750   # from the middle\n0312340001\n")
    told = office.json("number release", "m-0002", "--numbers", numbers, *WHY)
    member = parse_registry(office.registry.read_text(), "").members[1]
    assert member.numbers == ("03-6234-5678", "0362345700-0362345749", "0362345751-0362345799")
    assert "does not hold all of …5750" in office.refused("number release", "m-0002", "--numbers", numbers, *WHY)
    assert "overlaps" in office.refused("number assign", "m-0002", *WHY, typed="0612345000\n")
    assert "write it like" in office.refused("number assign", "m-0002", *WHY, typed="12\n")
    assert "no number was given" in office.refused("number assign", "m-0002", *WHY, typed="\n")
    side_by_side = office.refused("number assign", "m-0002", *WHY, typed="0362346000 0362346999\n")
    assert "two numbers go on two lines" in side_by_side
    assert "no member 'm-9'" in office.refused("number assign", "m-9", *WHY, typed="0362349999\n")


def test_keys_of_nodes_are_added_and_removed(office):
    key, other = (str(Signer(name, b"1" * 32).key) for name in ("m-0002/pbx-1", "m-0001/pbx-1"))
    for _ in range(2):
        told = office.json("node add-key", "m-0002", key)
        assert told["what"] == [f"member m-0002: key {key} is new"]
        assert parse_registry(office.registry.read_text(), "").members[1].keys == (key,)
        assert "has this key already" in office.refused("node add-key", "m-0002", key)
        told = office.json("node remove-key", "m-0002", key, *WHY)
        assert told["what"] == [f"member m-0002: key {key} is removed"]
    assert "has no such key" in office.refused("node remove-key", "m-0002", key, *WHY)
    assert "belongs to 'm-0001/pbx-1', and not to a node of m-0002" in office.refused("node add-key", "m-0002", other)
    assert "copy the line that `idtone-office document key` prints" in office.refused(
        "node add-key", "m-0002", key[:-4]
    )


def test_the_history_says_who_asked_and_which_keys_have_signed(office):
    tanaka = office.act_as("tanaka", 1001)
    told = office.json("suspension number", *STOP, typed=TWICE)
    assert (told["by"], told["requested"]) == (tanaka, "2026-11-02T01:10:00+09:00")
    assert "0312345677" not in (office.folder / "history" / "suspensions.jsonl").read_text()
    assert "not yet signed" in office.run("history show")[1].splitlines()[-1]
    assert office.json("publication publish", *office.duty())["signed"] == [
        "suspensions",
        "snapshot",
        "timestamp",
    ]
    signed = office.json("history show")[-1]["signed"]
    assert (signed["version"], sorted(signed["keys"])) == (2, sorted(map(office.key_id, ("duty-1", "duty-2"))))
    keys = ", ".join(key[:8] for key in signed["keys"])
    shown = office.run("history show")[1].splitlines()[-1]
    assert shown == f"  signed with the duty keys {keys} in version 2 of suspensions"


M1, M2 = "m-0001", "m-0002"


@pytest.mark.parametrize(
    ("command", "typed", "written", "said"),
    [
        ("suspension number", "03-1234-5677", "number: 0312345677", "…5677"),
        ("suspension range", "0612345*", "numbers: 0612345000-0612345999", "…5000 to …5999 (1,000 numbers)"),
        (
            "suspension range",
            "03-1234-5600-0312345699",
            "numbers: 0312345600-0312345699",
            "…5600 to …5699 (100 numbers)",
        ),
        ("suspension member", M2, "member: m-0002", "all numbers of member m-0002"),
    ],
)
def test_two_people_stop_numbers_and_members_for_a_time_and_lift_it(office, command, typed, written, said):
    twice, different = f"{typed}\n{typed}\n", f"{typed}\n0612340000\n"
    told = office.json(command, *STOP, "--until", "2098-12-31", "--authority", "警視庁", typed=twice)
    assert (told["action"], told["subject"]) == (f"suspend-{command.split()[1]}", "R-7")
    [what] = told["what"]
    assert what.startswith(f"{said}: is suspended since ")
    assert what.endswith(" until 2098-12-31 (reference R-7, 警視庁)")
    assert written in office.suspensions.read_text().replace('"', "").replace("'", "")
    assert "is already suspended" in office.refused(command, *STOP, typed=twice)
    for again in ((command, *STOP), ("suspension lift", *WHY)):
        assert "differ; look at the request again" in office.refused(*again, typed=different)
        assert "was not given" in office.refused(*again, typed=f"{typed}\n"), "one of two people alone"
    assert "--until is over" in office.refused(command, *STOP, "--until", "2026-01-01", typed=twice)
    assert office.json("history show")[-1]["what"] == [what]
    assert office.json("suspension lift", *WHY, typed=twice)["what"] == [
        f"{said}: its suspension is lifted (reference R-7)"
    ]
    assert "suspensions: []" in office.suspensions.read_text()
    assert "is not suspended" in office.refused("suspension lift", *WHY, typed=twice)


def test_a_part_of_a_suspended_range_is_lifted(office):
    def entered() -> list[str]:
        return re.findall(r'numbers?: "?([0-9-]+)', office.suspensions.read_text())

    office.json("suspension range", *STOP, "--authority", "警視庁", typed="0312345600-0312345699\n" * 2)
    for typed, left in (
        ("0312345650", ["0312345600-0312345649", "0312345651-0312345699"]),
        ("0312345600-0312345609", ["0312345610-0312345649", "0312345651-0312345699"]),
        ("0312345651-0312345699", ["0312345610-0312345649"]),
    ):
        assert office.json("suspension lift", *WHY, typed=f"{typed}\n{typed}\n")["still_suspended"] == []
        assert sorted(entered()) == left
        assert office.suspensions.read_text().count("reference: R-7") == len(left), "with the same terms"
        assert office.suspensions.read_text().count("警視庁") == len(left)
        assert "is not suspended" in office.refused("suspension lift", *WHY, typed=f"{typed}\n{typed}\n")
    typed = "0312345640-0312345655\n"
    assert "not all of …5640 – …5655 is suspended: …5650 – …5655 is not" in office.refused(
        "suspension lift", *WHY, typed=typed * 2
    )
    # A number that was stopped by itself, too, stays stopped by the range, and the officers are told.
    office.json("suspension number", "--reference", "R-8", *STOP[2:], typed="0312345640\n" * 2)
    assert office.json("suspension lift", *WHY, typed="0312345640\n" * 2)["still_suspended"] == ["R-7"]


def test_a_stop_of_a_number_names_its_holder_and_needs_one(office):
    held = office.json("suspension number", *STOP, typed=TWICE)["holders"]
    assert held == [{"member": "m-0001", "name": "良い電話株式会社", "numbers": 1}]
    code, shown, _ = office.run("suspension range", *STOP, typed="0312345690-0312345709\n" * 2)
    assert (code, "holder: m-0001 良い電話株式会社 (10 numbers)" in shown) == (0, True)
    free = "0399999999\n" * 2
    assert "no member holds this number" in office.refused("suspension number", *STOP, typed=free)
    assert office.json("suspension number", *STOP, "--no-holder", typed=free)["holders"] == []
    code, shown, _ = office.run("suspension range", *STOP, typed="0388880000-0388880009\n" * 2)
    assert (code, "NO MEMBER HOLDS THIS" in shown) == (0, True)
    office.registry.write_text("registry: {")
    assert office.json("suspension number", *STOP, typed="0312345678\n" * 2)["holders"], "by the published registry"


def test_a_suspension_that_is_over_is_replaced(office):
    over = STOPPED.replace("reference", "until: 2026-11-02T00:00:01+09:00, reference")
    office.suspensions.write_text(over)
    office.json("history note", *WHY)
    told = office.json("suspension number", *STOP, typed=TWICE)
    assert told["what"][-1] == "…5677: the reference of its suspension is R-7, was R-1"


def test_no_number_is_assigned_against_a_suspension(office):
    assert "no member 'm-9'" in office.refused("member refuse-numbers", "m-9", *STOP)
    assert "no member 'm-9'" in office.refused("suspension member", *STOP, typed="m-9\nm-9\n")
    office.json("member refuse-numbers", M2, *STOP)
    assert "m-0002 is already suspended" in office.refused("member refuse-numbers", M2, *STOP)
    error = office.refused("number assign", M2, *WHY, typed="0312349999\n")
    assert "member m-0002 gets no new numbers (reference R-7); `idtone-office member allow-numbers` ends that" in error
    office.json("number assign", M1, *WHY, typed="0312349999\n")
    told = office.json("member allow-numbers", M2, *WHY)
    assert told["what"] == ["member m-0002: may get new numbers again (reference R-7)"]
    office.json("suspension range", *STOP, typed="0312348*\n0312348*\n")
    for number in ("0312348000", "0312347990-0312348000"):
        error = office.refused("number assign", M2, *WHY, typed=f"{number}\n")
        assert "is suspended in part or whole (reference R-7)" in error
    office.json("number assign", M2, *WHY, typed="0312347990-0312347999\n")
    applied(office, APPLICATION.replace("0362345678", "0312348000"))
    reviewed(office)
    assert "is suspended in part" in office.refused("application grant", "A-1", "--until", "2027-12-01")


def test_no_number_and_no_later_request_are_stopped(office):
    for number in ("110", "", "12345"):
        assert "number" in office.refused("suspension number", *STOP, typed=f"{number}\n{number}\n")
    late = ("--reference", "R-7", "--requested", "2999-01-01", *WHY)
    assert "--requested is in the future" in office.refused("suspension number", *late, typed="1\n1\n")


def test_the_registry_itself_is_extended(office):
    told = office.json("publication prolong", "--until", "2027-02-28", *WHY)
    assert told["what"] == ["the registry's expiry is 2027-03-01T00:00:00+09:00, was 2036-12-01T00:00:00+09:00"]
    for moment, fault in (
        ("2027-02-28", "would change nothing"),
        ("2027-03-01T00:00:00+09:00", "would change nothing"),
        ("soon", "is not a day"),
        ("2027-03-01T00:00:00", "has no time zone"),
        ("2020-01-01", "is not after"),
    ):
        assert fault in office.refused("publication prolong", "--until", moment, *WHY), moment


def test_what_blocks_a_change(office, monkeypatch):
    monkeypatch.setattr("idtone.office.authority.workspace.TURN_WITHIN_S", 0.1)
    with Workspace(office.folder).locked():
        assert "another command is changing something" in office.refused("licence revoke", "L-0001", *WHY)
    for why in ("", " ", "x\ny", "x" * 201):
        assert "--why is not a readable text" in office.refused("licence revoke", "L-0001", "--why", why)
    before, registry = office.suspensions.read_text(), office.registry.read_text()
    office.registry.write_text(registry.replace("Good Telecom", "Better Telecom"))
    assert "was edited by hand" in office.refused("licence revoke", "L-0001", *WHY)
    office.json("suspension number", *STOP, typed=TWICE)
    office.suspensions.write_text(before)
    for command in (("suspension lift", *WHY), ("publication publish", *office.duty())):
        assert "was edited by hand" in office.refused(*command, typed=TWICE), "a change was undone"


def test_a_rewritten_history_is_found(office):
    office.json("licence revoke", "L-0001", *WHY)
    path = office.folder / "history" / "registry.jsonl"
    assert [bool(entry["signed"]) for entry in office.json("history show")] == [True, True, False]
    good = path.read_text()
    lines = good.splitlines(keepends=True)
    path.write_text(lines[0])
    assert len(office.json("history show")) == 2, "an unsigned line can be removed"
    path.write_text(good)
    office.json("publication publish", *office.all_keys())
    other = "lines are not the lines that were signed"
    for bad, fault in (
        (good.replace("as asked", "as wanted"), other),
        (lines[0], other),
        ("".join(reversed(lines)), other),
        ("", other),
        (good + "{}\n", f"{path}:3: is not an entry of a history"),
    ):
        path.write_text(bad)
        assert fault in office.refused("history show"), bad


def test_a_line_missing_from_the_history_is_found(office):
    for command in ("licence suspend", "licence resume", "licence revoke"):
        office.json(command, "L-0001", *WHY)
    path = office.folder / "history" / "registry.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))
    assert f"{path}:2: does not start where the change before it ended" in office.refused("history show")
    path.write_text("".join(lines).rstrip("\n"))
    assert "its last line is incomplete" in office.refused("history show")


RENEWED = {"--document": "2", "--sha256": "ab" * 32, "--signatory": "代表取締役 見本", "--signed": "2026-11-20"}
PLEDGE = [word for pair in RENEWED.items() for word in pair]


def test_a_pledge_is_renewed(office):
    bare = office.registry.read_text().replace("    pledge: {signed: 2026-01-06}\n", "")
    office.registry.write_text(bare.replace("version: 42", "version: 43"))
    office.json("history note", *WHY)
    for member, was in (("m-0001", "signed 2026-01-05"), ("m-0002", "none")):
        told = office.json("member pledge", member, *PLEDGE, "--until", "2027-11-19")
        words = "signed 2026-11-20, by 代表取締役 見本, version 2, SHA-256 abababab…, until 2027-11-19"
        assert (told["action"], told["what"]) == ("pledge", [f"member {member}: the pledge is {words}, was {was}"])
    office.json("member pledge", "m-0002", *PLEDGE, "--until", "2028-11-19")
    members = parse_registry(office.registry.read_text(), "").members
    assert [str(member.pledge.until) for member in members] == ["2027-11-20", "2028-11-20"]
    _, shown, _ = office.run("show", office.folder, "m-0001")
    assert "pledge  signed 2026-11-20, by 代表取締役 見本, version 2, until 2027-11-19" in shown


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"--until": "2026-11-19"}, "members[0].pledge.until: is not after `signed`"),
        ({"--sha256": "ab"}, "members[0].pledge.sha256: is not a SHA-256"),
        ({"--signed": "2026-01-04"}, "has signed a later pledge, on 2026-01-05"),
        ({"--signed": "2199-01-01", "--until": "2199-02-01"}, "--signed is in the future"),
        ({"--signed": "20261120"}, "--signed is not a day"),
        ({"--signatory": "03-1234-5678"}, "contains a telephone number"),
    ],
)
def test_a_pledge_that_cannot_be_recorded(office, changes, error):
    fields = RENEWED | {"--until": "2027-11-20"} | changes
    assert error in office.refused("member pledge", "m-0001", *(word for pair in fields.items() for word in pair))


def test_diff_lists_the_differences_in_words(office, tmp_path):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(office.registry.read_text())
    new.write_text(office.registry.read_text())
    assert office.run("diff", old, new) == (0, "no differences\n", "")
    text = old.read_text()
    for before, after in (
        ("title: Sample sound", "title: The sound"),
        ("en: Good Telecom", "en: Best Telecom"),
        ("2026-01-05", "2026-01-07"),
        ("[incoming, outgoing]", "[incoming]"),
        ("0612345*", "06-1234-5*"),
        ("0312340001", "0312340002"),
    ):
        assert before in text
        text = text.replace(before, after)
    new.write_text(text)
    code, told, _ = office.run("diff", old, new, "--json")
    assert code == 1
    assert told["differences"] == [
        "tone sample: the title is The sound, was Sample sound",
        "member m-0001: the English name is Best Telecom, was Good Telecom",
        "member m-0001: the pledge is signed 2026-01-07, was signed 2026-01-05",
        "member m-0001: licence L-0001: the coverage is incoming, was incoming and outgoing",
        "member m-0001: the same numbers in another notation",
        "member m-0002: released: …0001",
        "member m-0002: assigned: …0002",
    ]
    stops = tmp_path / "suspensions.yaml"
    stops.write_text(STOPPED)
    assert "are of two kinds" in office.error("diff", stops, new)


def test_an_application_does_not_replace_another_members(office):
    office.json("application accept", ROOT / "config" / "member_application.yaml")
    path = applied(office)
    assert "application A-1 was accepted already, unchanged" in office.refused("application accept", path)
    path.write_text(APPLICATION.replace("m-0008", "m-0009"))
    assert "application A-1 is another member's" in office.refused("application accept", path)


def test_the_history_takes_no_telephone_number_and_a_change_keeps_the_mode_of_the_file(office):
    for text in ("stop 03-1234-5677", "+81 3 1234 5677", "０３１２３４５６７７ again"):
        assert "contains a telephone number" in office.refused("licence revoke", "L-0001", "--why", text)
        error = office.refused("suspension number", "--reference", text, "--requested", "2026-11-02", *WHY)
        assert "--reference contains a telephone number" in error
    office.json("licence revoke", "L-0001", "--why", "case 2026-0312 of 2026-11-01, file 17")
    office.suspensions.chmod(0o640)
    office.json("suspension number", *STOP, typed=TWICE)
    assert office.suspensions.stat().st_mode & 0o777 == 0o640
    assert (office.folder / "history" / "suspensions.yaml").stat().st_mode & 0o777 == 0o600


def test_two_keys_sign_what_was_lifted_by_hand(office):
    office.json("suspension number", *STOP, typed=TWICE)
    office.json("publication publish", *office.duty())
    head = office.suspensions.read_text().partition("suspensions:")[0]
    office.suspensions.write_text(head + "suspensions: []\n")
    assert "issued is not later than before the edit" in office.refused("publication publish", *WHY, *office.duty())
    office.suspensions.write_text(f"issued: {datetime.now(UTC).isoformat()}\nsuspensions: []\n")

    def published() -> dict[str, bytes]:
        return {path: octets for path, octets in office.state().items() if path.startswith("repository")}

    before = published()
    assert "needs the signatures of 2 of its 4 duty keys" in office.error(
        "publication publish", *WHY, *office.keys("duty-2")
    )
    assert published() == before
    lifted = "…5677: its suspension is lifted (reference R-7)"
    seen = "03-1234-5677: its suspension is lifted (reference R-7)"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("IDTONE_PASSPHRASE", "another")
        _, _, error = office.run("publication publish", *office.duty())
    assert f"suspensions.yaml: {seen}\nidtone: " in error, "each holder sees it before the passphrase"
    code, out, _ = office.run("publication publish", *office.duty())
    assert (code, lifted in out.splitlines()) == (0, True)
    (edit,) = [entry for entry in office.json("history show") if entry["action"] == "edit" and lifted in entry["what"]]
    assert sorted(edit["signed"]["keys"]) == sorted(map(office.key_id, ("duty-1", "duty-2")))


@pytest.mark.parametrize("file", ["registry.yaml", "suspensions.yaml"])
def test_nothing_is_issued_in_the_future(office, file):
    path = office.folder / file
    text = path.read_text().replace("version: 42", "version: 43").replace("issued: 2026", "issued: 2036")
    path.write_text(text.replace("expires: 2026", "expires: 2040"))
    code, _, error = office.run("publication publish", *WHY, *office.all_keys())
    assert (code, f"{file}: is issued in the future" in error) == (2, True)


def test_nothing_changes_if_the_history_cannot_be_written(office):
    (office.folder / "history" / "registry.jsonl").unlink()
    (office.folder / "history" / "registry.yaml").unlink()
    (office.folder / "history").rename(office.folder / "elsewhere")
    (office.folder / "history").write_text("in the way")
    error = office.refused("licence revoke", "L-0001", *WHY)
    assert "history" in error


@pytest.mark.parametrize(
    "written",
    [
        'numbers: ["0312340001"\r      ]', "numbers:\n      - >-\n        0312340001\n      # kept\n",
        "numbers: # one\u2028      - '0312340001'",
    ],
)  # fmt: skip
def test_text_that_cannot_be_edited_safely_is_left_to_people(office, written):
    text = office.registry.read_text()
    old = text[text.index('numbers:\n      - "0312340001"') :]
    new = text.replace(old, written + "\n")
    office.registry.write_bytes(new.replace("version: 42", "version: 43").encode())
    code, _, error = office.run("history note", *WHY)
    if code:  # our reader refuses it as well
        return
    for command, number in (("number assign", "0362345678"), ("number release", "0312340001")):
        code, _, error = office.run(command, "m-0002", *WHY, typed=f"{number}\n")
        members = parse_registry(office.registry.read_text(), "").members
        held = set(members[1].numbers)
        assert members[0].numbers == ("0312345678", "+81312345600-+81312345699", "0612345*")
        assert code == 2 or (number in held) == (command == "number assign"), error


def test_a_missing_folder_is_one_clear_error(office, tmp_path):
    nowhere = tmp_path / "nowhere"
    for command, *more in (
        ("licence revoke", "L-0001", *WHY),
        ("history show",),
        ("publication publish",),
        ("publication prepare", "--package", "x"),
    ):
        assert str(nowhere) in office.error(command, "--folder", nowhere, *more)
