"""Numbers that never originate calls: two persons enter them in the office, and the holders of two keys sign them."""

import pytest

from idtone.office.authority.workspace import Workspace
from idtone.registry.trust import tuf_roles
from lab.office.authority.office import WHY

OF_HOLDER = (
    "--holder", "見本警察署", "--reference", "N-7", "--requested", "2026-11-02T01:10:00+09:00",
    "--since", "2026-11-02T01:10:00+09:00",
)  # fmt: skip
NUMBER = "0335810110"
TWICE = f"{NUMBER}\n{NUMBER}\n"
SAID = "…0110 of 見本警察署 never originates since 2026-11-02T01:10:00+09:00"


def file_of(office) -> str:
    path = office.folder / tuf_roles.NEVER_ORIGINATES_FILE
    return path.read_text() if path.exists() else ""


def test_two_people_enter_and_remove_numbers(office):
    assert office.json("never-originating list") == {"entries": None}
    told = office.json("never-originating add", *OF_HOLDER, typed=TWICE)
    assert (told["action"], told["subject"]) == ("add-never-originating", "N-7")
    assert told["what"] == [f"{SAID} (reference N-7)"]
    assert NUMBER in file_of(office)
    assert NUMBER not in (office.folder / "history" / "never-originates.jsonl").read_text()
    assert "is entered already" in office.refused("never-originating add", *OF_HOLDER, typed=TWICE)
    prefix = "0120000*"
    office.json("never-originating add", *OF_HOLDER, "--until", "2099-01-01", typed=f"{prefix}\n{prefix}\n")
    listed = office.json("never-originating list")["entries"]
    assert [(each["numbers"], each["holder"], each["in_force"]) for each in listed] == [
        ("…0110", "見本警察署", True),
        ("…0000 to …0999 (1,000 numbers)", "見本警察署", True),
    ]
    shown = office.output("never-originating list")
    assert shown.splitlines()[-1] == "2 entries"
    assert NUMBER not in shown
    for again in (("never-originating add", *OF_HOLDER), ("never-originating remove", *WHY)):
        assert "the two ranges differ" in office.refused(*again, typed=f"{NUMBER}\n0335810111\n")
        assert "was not given" in office.refused(*again, typed=f"{NUMBER}\n"), "one of two people alone"
    part = "0120000111\n0120000111\n"
    assert "enter exactly the numbers of one entry" in office.refused("never-originating remove", *WHY, typed=part)
    told = office.json("never-originating remove", *WHY, typed=TWICE)
    assert told["what"] == ["…0110 of 見本警察署 may originate calls again (reference N-7)"]
    assert NUMBER not in file_of(office)


@pytest.mark.parametrize(
    ("changes", "typed", "told"),
    [
        ({"--requested": "2199-01-01"}, TWICE, "--requested is in the future"),
        ({"--holder": ""}, TWICE, "--holder is not a readable text"),
        ({"--holder": "署 03-3581-0110"}, TWICE, "contains a telephone number"),
        ({"--reference": " "}, TWICE, "--reference is not a readable text"),
        ({}, "110\n110\n", "that range cannot be used"),
        ({}, "03*\n03*\n", "that range cannot be used"),
    ],
)
def test_a_fault_changes_nothing(office, changes, typed, told):
    words = dict(zip(OF_HOLDER[::2], OF_HOLDER[1::2], strict=True)) | changes
    options = [each for pair in words.items() for each in pair]
    assert told in office.refused("never-originating add", *options, typed=typed)
    assert file_of(office) == ""


def test_the_duty_officers_sign_it_and_members_get_it(office):
    office.json("never-originating add", *OF_HOLDER, typed=TWICE)
    code, told, shown = office.run("publication publish", *office.duty(), "--json")
    assert (code, told["signed"]) == (0, ["never-originates", "snapshot", "timestamp"])
    whole = SAID.replace("…0110", "03-3581-0110")
    assert f"never-originates.yaml: {whole} (reference N-7)" in shown.splitlines()
    signed = office.json("history show")[-1]["signed"]
    assert (signed["role"], signed["version"]) == ("never-originates", 2)
    repository = Workspace(office.folder).repository
    assert repository.file_octets(tuf_roles.NEVER_ORIGINATES) == file_of(office).encode()
    (office.folder / tuf_roles.NEVER_ORIGINATES_FILE).unlink()
    assert "cannot be read" in office.refused("publication publish", *office.duty()), "what was published stays"


def test_one_key_does_not_sign_it(office):
    office.json("never-originating add", *OF_HOLDER, typed=TWICE)
    assert "needs the signatures of 2 of its 4 duty keys" in office.refused(
        "publication publish", *office.keys("duty-1")
    )


def test_a_list_by_hand_is_noted_first(office):
    """A bank's long list is easier to enter by hand than with commands."""
    entries = "".join(
        f'  - {{number: "03358{n:05}", holder: 見本銀行, reference: N-8, since: 2026-11-02T00:00:00+09:00}}\n'
        for n in range(20)
    )
    path = office.folder / tuf_roles.NEVER_ORIGINATES_FILE
    path.write_text(f"issued: 2026-11-02T00:00:00+09:00\nnever_originates:\n{entries}")
    assert "was edited by hand" in office.refused("publication publish", *office.duty())
    [noted] = office.json("history note", *WHY)
    assert len(noted["what"]) == 20
    assert office.json("publication publish", *office.duty())["signed"][0] == "never-originates"
    assert office.run("check", office.folder)[0] == 0


def test_found_by_holder_and_by_number(office):
    office.json("never-originating add", *OF_HOLDER, typed=TWICE)
    for words, typed in ((("見本警察",), ""), ((), f"{NUMBER}\n")):
        found = office.json("member find", *words, typed=typed)
        assert [each["holder"] for each in found["never_originates"]] == ["見本警察署"]
    assert office.json("member find", typed="0335810111\n", code=1)["never_originates"] == []
