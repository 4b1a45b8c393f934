"""Confirmations of suspensions at the desk: accepted and refused ones, and the list of the confirming nodes."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.core.errors import TrustError
from idtone.core.signed_notes import Signer
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.document_kinds import RULES
from idtone.registry.correspondence import own_suspension_report
from idtone.registry.correspondence.signed_document import sign_document
from idtone.registry.correspondence.suspension_confirmation import KIND
from idtone.registry.trust.tuf_roles import Keys
from lab.office.authority.office import Office
from lab.registry.examples import GOOD, with_keys
from lab.registry.trust.association import STOPPED, Association

ONE, TWO, OTHER = (
    Signer(name, name[0:1].encode() * 31 + name[-1:].encode()) for name in ("m-0001/a", "m-0001/b", "m-0002/c")
)
NOW = datetime.now(UTC)
MORE = '  - {numbers: "0312345600-0312345619", since: 2026-11-03T00:00:00+09:00, reference: R-2}\n'


@pytest.fixture
def association(tmp_path: Path) -> Association:
    """An association that has published one stop. The registry names two nodes of m-0001 and one of m-0002."""
    found = Association(tmp_path / "authority")
    found.write(with_keys(GOOD, m1=[ONE.key, TWO.key], m2=[OTHER.key]).partition("suspensions:")[0], STOPPED)
    found.begin()
    return found


@pytest.fixture
def desk(association: Association) -> DocumentDesk:
    return DocumentDesk(association.folder, RULES)


def content(text: str = STOPPED, ended: Mapping[str, int] = {"R-1": 2}, in_use: datetime = NOW) -> dict[str, object]:
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "issued": "2026-11-02T00:00:00+09:00",
        "registry_version": 42,
        "in_use": in_use.isoformat(),
        "stops": [{"reference": reference, "calls_ended": calls} for reference, calls in ended.items()],
    }


def confirmation(signer: Signer = ONE, member: str = "", at: datetime = NOW, **more: object) -> bytes:
    return sign_document(KIND, member or signer.key.name.partition("/")[0], content(**more), signer, at)


REFUSED = {
    "another member's key": (confirmation(OTHER, "m-0001"), "not signed by a key that the registry names for member"),
    "its reference": (confirmation(ended={"R-9": 0}), "has no reference 'R-9'"),
    "its edition": (confirmation(text="other"), "no suspensions.yaml with the SHA-256 .* was published"),
    "a later use": (confirmation(in_use=NOW + timedelta(minutes=6)), "in use from a later time than now"),
    "no stop": (confirmation(ended={}), "content is not that of a suspension-confirmation"),
    "minus one call": (confirmation(ended={"R-1": -1}), "content is not that of a suspension-confirmation"),
}


@pytest.mark.parametrize(("octets", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_leaves_nothing(desk, octets, said):
    with pytest.raises(TrustError, match=said):
        desk.accept(octets, NOW)
    assert not desk.ledger.acts()
    assert not list(desk.documents.of(KIND))


def test_the_end_of_a_suspension_is_confirmed_and_an_old_order_can_be_reported(association, desk, monkeypatch):
    office = Office(association.folder, monkeypatch)

    def told(*reference: str) -> tuple[int, list[tuple[object, ...]]]:
        code, rows, error = office.run("suspension in-force", *reference, "--json")
        assert not error
        return code, [(row["node"], row["in_use"] is not None, row["lifted"] is not None) for row in rows]

    desk.accept(confirmation(ONE), NOW)
    ended = "issued: 2026-11-04T00:00:00+09:00\nsuspensions: []\n"
    association.write(suspensions=ended)
    association.publish(association.signers(Keys.DUTY))
    one, two, other = ("m-0001/a", True, False), ("m-0001/b", False, False), ("m-0002/c", False, False)
    assert told() == (1, [one, two, other]), "one node has still to confirm the end"
    lift = {**content(ended, {}), "lifts": ["R-1"]}
    with pytest.raises(TrustError, match="no published suspension had the reference 'R-9'"):
        desk.accept(sign_document(KIND, "m-0001", {**lift, "lifts": ["R-9"]}, ONE, NOW), NOW)
    desk.accept(sign_document(KIND, "m-0001", lift, ONE, NOW), NOW)
    assert told() == (0, [])
    assert told("R-1") == (0, [("m-0001/a", True, True), two, other]), "the police ask about it later"
    assert "lifted since" in office.run("suspension in-force", "R-1")[1]

    again = STOPPED.replace("issued: 2026-11-02", "issued: 2026-11-05").replace("since: 2026-", "since: 2025-")
    last = ended.replace("2026-11-04", "2026-11-06")
    second, third = NOW + timedelta(seconds=10), NOW + timedelta(seconds=20)
    association.write(suspensions=again)
    association.publish(association.signers(Keys.DUTY))
    desk.accept(confirmation(ONE, text=again, at=second, in_use=second), second)
    association.write(suspensions=last)
    association.publish(association.signers(Keys.DUTY))
    assert told() == (1, [one, two, other]), "it was stopped again: the first end does not count for the second stop"
    lift = {**content(last, {}, third), "lifts": ["R-1"]}
    desk.accept(sign_document(KIND, "m-0001", lift, ONE, third), third)
    assert told() == (0, [])


def own_report(state: str = "in-force", number: int = 1, **more: object) -> bytes:
    content = {
        "id": f"s-{number:08x}", "reference": "R-77", "numbers": 3, "in_force": NOW.isoformat(), "calls_ended": 2,
        "state": state, **more,
    }  # fmt: skip
    return sign_document(own_suspension_report.KIND, "m-0001", content, ONE, NOW)


def test_what_members_have_stopped_themselves_is_shown_by_the_newest_report(association, desk, monkeypatch):
    office = Office(association.folder, monkeypatch)
    for octets, said in (
        (own_report("asked"), "content is not that of a own-suspension"),
        (own_report(in_force=(NOW + timedelta(minutes=6)).isoformat()), "in use from a later time than now"),
    ):
        with pytest.raises(TrustError, match=said):
            desk.accept(octets, NOW)
    reports = own_report(), own_report(number=2), own_report("lifted", over=NOW.isoformat())
    for seconds, octets in enumerate(reports):
        desk.accept(octets, NOW + timedelta(seconds=seconds))
    code, rows, _ = office.run("suspension in-force", "R-77", "--json")
    told = [(row["by"], row["node"], row["id"], row["state"], row["calls_ended"]) for row in rows]
    one, two = (("member", "m-0001/a", f"s-{number:08x}") for number in (1, 2))
    assert (code, told) == (0, [(*one, "lifted", 2), (*two, "in-force", 2)])
    shown = office.run("suspension in-force")[1]
    assert shown.index("not confirmed") < shown.index("by members themselves:") < shown.index("s-00000002")


def test_who_has_confirmed_and_who_has_not(association, desk, monkeypatch):
    office = Office(association.folder, monkeypatch)

    def told(*reference: str) -> tuple[int, list[tuple[object, ...]]]:
        code, rows, error = office.run("suspension in-force", *reference, "--json")
        assert not error
        names = ("reference", "node", "calls_ended")
        return code, [(*(row[name] for name in names), row["in_use"] is not None) for row in rows]

    for signer in (ONE, OTHER):
        desk.accept(confirmation(signer), NOW)
    one, two, other = ("R-1", "m-0001/a", 2, True), ("R-1", "m-0001/b", 0, False), ("R-1", "m-0002/c", 2, True)
    assert told() == (1, [one, two, other])
    shown = office.run("suspension in-force")[1]
    assert "not confirmed" in shown
    desk.accept(confirmation(TWO), NOW)
    assert told("R-1") == (0, [one, ("R-1", "m-0001/b", 2, True), other])
    assert "has the reference 'R-2'" in office.refused("suspension in-force", "R-2")
    # A second entry by the same reference, and another reference: what was confirmed before does not cover them.
    later = STOPPED + MORE + MORE.replace("R-2", "R-1").replace("0312345600-0312345619", "061234500*")
    later = later.replace("issued: 2026-11-02", "issued: 2026-11-03")
    association.write(suspensions=later)
    association.publish(association.signers(Keys.DUTY))
    assert told("R-1") == (1, [(*row[:2], 0, False) for row in (one, two, other)])
    desk.accept(confirmation(text=later, ended={"R-1": 1, "R-2": 4}), NOW)
    assert told()[1][0] == ("R-1", "m-0001/a", 3, True)
    assert told("R-2")[1][0] == ("R-2", "m-0001/a", 4, True)
    # A key that the registry no longer names counts no more.
    text = (association.folder / "registry.yaml").read_text().replace("version: 42", "version: 43")
    association.write(text.replace(f"'{ONE.key}', ", ""))
    association.publish()
    assert [row[1] for row in told("R-2")[1]] == ["m-0001/b", "m-0002/c"]
