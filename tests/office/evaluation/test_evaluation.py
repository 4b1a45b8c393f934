"""An evaluation, from the figures at the desk to the public list and its badges, and attacks on each part of it."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from idtone.core.errors import TrustError
from idtone.core.persons import acting_person
from idtone.core.signed_notes import Signer, VerifierKey
from idtone.member.evaluation.criteria import parse_criteria, read_criteria
from idtone.member.evaluation.evaluation_verification import verify_published
from idtone.member.evaluation.period import Period
from idtone.member.reports.report_documents import SealedReport
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.document_kinds import RULES
from idtone.office.desk.document_store import DocumentStore
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.desk.recorded_changes import RecordedChanges
from idtone.office.desk.reports.call_traceback import Stage
from idtone.office.desk.reports.number_holder import Basis, Holder
from idtone.office.desk.reports.report_store import PAGE, WITHDRAWN, KeptReport, KeptRequest, ReportStore
from idtone.office.evaluation.enter_criteria import tree_of
from idtone.office.evaluation.observations import ObservationKind
from idtone.registry.correspondence.signed_document import sign_document, verified_document
from idtone.registry.correspondence.suspension_confirmation import KIND as CONFIRMATION
from idtone.registry.parsers import parse_suspensions
from lab.cached_folders import fill_from_cache
from lab.ledger.sample_ledger import query
from lab.member.evaluation.sample_figures import (
    CRITERIA,
    LAST_DAY,
    LAST_YEAR,
    LIST,
    LOG,
    NODE,
    SAMPLE,
    STRANGER,
    WITNESS,
    YEAR,
    content_of,
    document_of,
    head_of,
    write_criteria,
)
from lab.office.authority.office import STOP, WHY, Office
from lab.office.evaluation.ready_association import DAYS, add_observation, hand_in, use_own_ledger
from lab.registry.trust.association import STOPPED

ANOTHER_LOG = Signer(LOG.key.name, b"8" * 32)
INTRUDER = Signer("m-0002/pbx-9", b"9" * 32)


def evaluated(office: Office, *more: object) -> Any:
    return office.json("evaluation run", *DAYS, *more)


@pytest.fixture
def site(folder: Office, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of files that are published after an evaluation."""

    def make() -> None:
        hand_in(folder, content_of(LAST_YEAR), content_of(YEAR))
        evaluated(folder, "--enter", *WHY)
        folder.json("publication publish", *folder.all_keys(), "--site", tmp_path / "site")

    fill_from_cache(tmp_path_factory, "evaluated", tmp_path, make)
    use_own_ledger(folder)
    return tmp_path / "site"


def verified_by(office: Office, *arguments: object) -> tuple[int, str]:
    """The exit code and the output of the verifier."""
    return office.run("evaluation", "verify", *arguments, "--trust", office.root)[:2]


def test_from_the_desk_to_the_badge(folder, site, tmp_path):
    [act] = [act for act in OfficeLedger(folder.folder).acts() if act.act == "evaluated"]
    assert (act.subject, act.details["members"], act.details["graded"]) == (str(YEAR), 2, 1)
    listed = json.loads((site / "operators.json").read_text())["operators"]
    [evaluation] = [operator["evaluation"] for operator in listed if "evaluation" in operator]
    assert (evaluation["grade"], evaluation["percent"]) == ("excellent", "95.3")
    badge = site / "evaluation" / "m-0001.svg"
    for what in ("m-0001", badge):
        code, out = verified_by(folder, site, what)
        assert (code, "最優良 / Excellent (excellent), 95.3 %" in out) == (0, True), out
    picture = ElementTree.fromstring(badge.read_bytes())  # noqa: S314  our own
    title, desc = (picture.findtext(f"{{*}}{name}") or "" for name in ("title", "desc"))
    assert "最優良 – 良い電話株式会社 / Evaluation of good operators: Excellent – Good Telecom" in title
    assert picture.get("aria-labelledby") == "title-m-0001 desc-m-0001"
    assert evaluation["result"] in desc
    assert LIST in desc
    published = "".join(path.read_text("utf-8") for path in (site / "evaluation").iterdir())
    assert "Assessor" not in published, "the names stay with the office"
    assert not re.search(r"\b12,?000\b", published), "so do the numbers of calls"
    page = (site / "index.html").read_text()
    assert 'href="evaluation/m-0001.json">最優良' in page
    history = folder.json("history show")
    assert "evaluation of m-0001: excellent (最優良 / Excellent), 95.3 %" in json.dumps(history, ensure_ascii=False)
    # A copy elsewhere, without the rest of the site, is judged by its octets.
    shutil.copy(badge, tmp_path / "their-badge.svg")
    assert verified_by(folder, site, tmp_path / "their-badge.svg")[0] == 0


def test_a_member_without_figures_or_a_valid_licence_gets_no_grade(folder):
    def first() -> Any:
        [member, _] = evaluated(folder)["members"]
        return member["grade"], member["percent"], member["excluded"]

    assert first() == (None, None, None), "all else is excellent, and no figures were handed in"
    hand_in(folder, content_of(YEAR))
    assert first() == ("excellent", "95.3", None)
    folder.json("licence suspend", "L-0001", *WHY)
    assert first() == (None, "95.3", "no-valid-licence")
    folder.json("licence resume", "L-0001", *WHY)
    folder.json("suspension member", *STOP, typed="m-0001\nm-0001\n")
    assert first() == (None, "95.3", "stopped")


def test_no_badge_shows_the_address_of_the_sample(folder):
    write_criteria(folder.folder, SAMPLE)
    assert "write the address of your public list" in folder.refused("evaluation run", *DAYS, "--enter", *WHY)


def test_a_stopped_member_leaves_the_public_list(folder, site):
    def listed() -> tuple[bool, bool, bool]:
        """True or False for the member's presence on the page, in the list for programs, and in the signed list."""
        lists = (site / each / "operators.json" for each in (".", "proof"))
        return "最優良" in (site / "index.html").read_text(), *("m-0001" in each.read_text() for each in lists)

    assert listed() == (True, True, True)
    folder.json("suspension member", *STOP, typed="m-0001\nm-0001\n")
    told = folder.json("publication publish", *folder.duty(), "--site", site)
    assert (told["left"], listed()) == (["registry"], (False, False, True)), "it waits for the keys of the registry"
    assert folder.run("verify", "operators", site, "--trust", folder.root, "--json")[1]["operators"] == []
    code, _, shown = folder.run("publication publish", *folder.all_keys(), "--site", site)
    assert (code, "m-0001 leaves the public list: all its numbers are suspended" in shown) == (0, True)
    assert listed() == (False, False, False)
    assert verified_by(folder, site, site / "evaluation" / "m-0001.svg")[0] == 1
    folder.json("suspension lift", *WHY, typed="m-0001\nm-0001\n")
    folder.json("publication publish", *folder.all_keys(), "--site", site)
    assert listed() == (True, True, True)


FORGERIES: dict[str, tuple[str, Callable[[str], str], str, str]] = {
    # file, how it is changed, what is verified, what is said
    "another grade in the list": (
        "operators.json",
        lambda text: text.replace('"excellent"', '"better"'),
        "m-0001",
        "not what the association",
    ),
    "another grade on the badge": (
        "evaluation/m-0001.svg",
        lambda text: text.replace("95.3", "99.9").replace("最優良", "超優良"),
        "evaluation/m-0001.svg",
        "is no badge of the present list",
    ),
    "another member's name on the badge": (
        "evaluation/m-0001.svg",
        lambda text: text.replace("良い電話", "悪い電話"),
        "evaluation/m-0001.svg",
        "is no badge",
    ),
    "criteria changed after publication": (
        "evaluation/criteria.yaml",
        lambda text: text.replace("at_least: 0.995", "at_least: 0.5"),
        "m-0001",
        "criteria.yaml: was changed after it was published",
    ),
    "a changed result": (
        "evaluation/m-0001.json",
        lambda text: text.replace('"points": 7', '"points": 10'),
        "m-0001",
        "m-0001.json: was changed",
    ),
}


def test_forgeries_are_found(folder, site):
    for name, (file, change, what, said) in FORGERIES.items():
        path = site / file
        text = path.read_text("utf-8")
        assert change(text) != text, name
        path.write_text(change(text), "utf-8")
        code, out = verified_by(folder, site, site / what if "/" in what else what)
        assert (code, said in out) == (1, True), (name, out)
        path.write_text(text, "utf-8")
    assert verified_by(folder, site, "m-0002")[0] == 1, "it has no evaluation"
    assert verified_by(folder, site, "m-0001")[0] == 0
    with pytest.raises(TrustError, match=r"has expired|valid from"):
        verify_published(site, folder.root, "m-0001", datetime(2028, 1, 1, tzinfo=UTC))


def test_a_result_that_does_not_follow_is_not_published(folder, site):
    """Even the office cannot give a grade that the values do not earn: the verifier computes the grade again."""
    result = folder.folder / "evaluation" / "2025-01-01_2026-01-01.json"
    text = result.read_text("utf-8")
    assert r"\"points\": 7," in text
    result.write_text(text.replace(r"\"points\": 7,", r"\"points\": 10,"), "utf-8")
    code, _, error = folder.run("publication publish", *folder.all_keys(), "--site", site)
    assert code == 2
    assert "is not what was published" in " ".join(error.split())
    assert folder.run("evaluation list")[0] == 2


def test_what_the_desk_refuses_leaves_nothing(folder):
    desk = DocumentDesk(folder.folder, RULES)
    hand_in(folder, content_of(LAST_YEAR))
    for octets, said in (
        (document_of(content_of(YEAR, head=head_of(YEAR, witness=STRANGER))), "0 of the association's witnesses"),
        (document_of({**content_of(YEAR), "head": content_of(LAST_YEAR)["head"]}), "since the end of the period"),
        (document_of(content_of(YEAR, head=head_of(YEAR, log=ANOTHER_LOG))), "not of the ledger whose key"),
    ):
        with pytest.raises(TrustError, match=said):
            desk.accept(octets, datetime.now(UTC))
    assert len(list(desk.documents.of("figures"))) == 1
    assert [each.act for each in desk.ledger.acts() if not each.act.startswith("observation")] == ["figures"]


def test_without_criteria_nothing_is_accepted(folder):
    (folder.folder / "evaluation.yaml").unlink()
    with pytest.raises(TrustError, match="it has no criteria"):
        hand_in(folder, content_of(YEAR))


def test_what_changes_a_members_values(folder):
    def rows() -> dict[str, Any]:
        return {row["criterion"]: row["no_value"] or row["value"] for row in evaluated(folder)["members"][0]["rows"]}

    days = (("2025-01-01", "2025-06-30"), ("2025-07-01", "2025-12-31"))
    halves = [content_of(Period.parse(*half), 20) for half in days]
    for content in halves:
        content["head"] = head_of(YEAR)
    hand_in(folder, halves[1])
    assert rows()["sound"] == "no-figures", "half of the period is missing"
    halves[0]["months"][0].update(connected=10, sent=9, fallback=1)
    hand_in(folder, halves[0])
    assert (rows()["sound"], rows()["service"]) == ("0.9916", "0.0042")
    halves[0]["months"][0].update(sent=10, fallback=0)
    hand_in(folder, halves[0])
    assert (rows()["sound"], rows()["service"]) == ("1.0000", "0.0000"), "the later ones of a period count"
    for content in halves:
        for month in content["months"]:
            month.update(calls=7, connected=3, sent=3)
    hand_in(folder, *halves)
    assert (rows()["sound"], rows()["service"]) == ("not-enough-calls", "not-enough-calls"), "a small member"
    write_criteria(folder.folder, CRITERIA.replace(str(WITNESS.cosigner), str(STRANGER.cosigner)))
    assert rows()["sound"] == "no-figures", "that witness does not count any more"


def test_confirmed_stops_count_before_those_entered(folder):
    folder.suspensions.write_text(STOPPED)
    folder.json("publication publish", *WHY, *folder.all_keys())
    sha256 = hashlib.sha256(STOPPED.encode()).hexdigest()
    period = ("--since", "2026-11-01", "--until", "2026-11-09")
    [stop] = parse_suspensions(STOPPED, "suspensions.yaml").suspensions
    week = {"what": stop.reference, "asked": "2026-11-02T00:00+09:00", "stopped": "2026-11-09T00:00+09:00"}
    add_observation(folder, ObservationKind.STOP, week)

    def hours() -> str:
        row = folder.json("evaluation run", *period)["members"][0]["rows"][2]
        return row["value"] or row["no_value"]

    assert hours() == "168.0", "as the office has entered it"
    for minutes, signer in ((90, NODE), (30, NODE), (600, INTRUDER)):
        in_use = stop.since + timedelta(minutes=minutes)
        content = {
            "sha256": sha256,
            "issued": stop.since.isoformat(),
            "in_use": in_use.isoformat(),
            "registry_version": 43,
            "stops": [{"reference": reference, "calls_ended": 0} for reference in (stop.reference, "R-99")],
        }
        document = verified_document(
            sign_document(CONFIRMATION, "m-0001", content, signer, in_use), partial(_only, signer)
        )
        documents = DocumentStore(folder.folder)
        RecordedChanges(documents.opened, OfficeLedger(folder.folder)).make(
            documents.added(document, sha256, in_use, {}), CONFIRMATION, sha256
        )
    assert hours() == "0.5", "the first confirmation of the node; the other key is not the member's"


def test_the_desk_counts_reports_itself(folder):
    store, begins = ReportStore(folder.folder), YEAR.begins

    def value() -> str:
        row = evaluated(folder)["members"][0]["rows"][4]
        return row["value"] or row["no_value"]

    assert value() == "none"
    assert not (folder.folder / "reports.sqlite3").exists()
    requests = [(-2, 9, None), (0, 1, None), (5, 1, None), (9, 3, None), (12, None, None), (15, None, WITHDRAWN)]
    for number, (day, took, result) in enumerate([*requests, (364, 0, None)]):
        asked = begins + timedelta(days=day)
        sealed = SealedReport(receipt=f"{number:064x}", report="box", disclose=False)
        holder = Holder("m-0001", Basis.EDITION)
        report = KeptReport(f"R-{number}", asked, PAGE, holder, Stage.MEMBER, None, None, None, None, sealed)
        request = KeptRequest(f"Q-{number}", report.id, 1, "m-0001", asked, asked + timedelta(days=1))
        RecordedChanges(store.opened, OfficeLedger(folder.folder)).make(
            store.added(report, "t", request), "report-entered", report.id
        )
        answered = None if took is None else round((asked + timedelta(days=took)).timestamp() * 1e6)
        query(
            folder.folder / "reports.sqlite3",
            "UPDATE requests SET answered = ?, result = ? WHERE id = ?",
            answered,
            result,
            f"Q-{number}",
        )
    assert value() == "0.5000", "of four that were due in the year, two were answered in time"


def _only(signer: Signer, _: str) -> list[VerifierKey]:
    return [signer.key]


def test_what_is_refused(folder, site):
    write_criteria(folder.folder, CRITERIA.replace("at_least: 0.995", "at_least: 0.9951"))
    assert "raise `version`" in folder.refused("evaluation run", *DAYS, "--enter", *WHY)
    assert "is not over yet" in folder.refused("evaluation run", "--since", "2096-01-01", "--until", "2096-12-31")
    assert "--enter takes --why" in folder.refused("evaluation run", *DAYS, "--enter")


def test_what_the_office_observes(folder):
    """An observation is recorded with its author. A wrong one is refused with all its errors. It cannot be erased once
    an evaluation has counted it.
    """

    def typed(kind: str, *words: object) -> Any:
        return folder.json("evaluation observe", kind, "m-0001", *words)

    made = typed("contact", "--day", "2025-07-01", "--result", "bad", "--what", "no answer")
    assert (made["id"], made["is_good"], made["by"]) == ("O-0008", False, str(acting_person()))
    [*_, act] = OfficeLedger(folder.folder).acts()
    assert (act.act, act.subject, act.details["observed"]) == ("observation-entered", "O-0008", "contact")
    rows = {row["criterion"]: row["value"] for row in evaluated(folder)["members"][0]["rows"]}
    assert rows["contact"] == "0.6666", "two of three"
    folder.output("evaluation withdraw", "O-0008", *WHY)
    for words, said in (
        (("contact", "m-0001", "--day", "2025-07-01"), "--result: choose one"),
        (("form", "m-0001", "--day", "2096-07-01", "--result", "good"), "--day is in the future"),
        (("contact", "m-0009", "--day", "2025-07-01", "--result", "good"), "no member 'm-0009'"),
        (("assessor", "m-0001", "--day", LAST_DAY, "--what", "C.", "--points", "11"), "--points: write 0 to 10"),
        (("assessor", "m-0001", "--day", LAST_DAY, "--what", "C.", "--points", "nan"), "--points: write 0 to 10"),
        (("stop", "m-0001", "--what", "R-2", "--asked", "2025-03-01", "--stopped", "2025-02-01"), "before --asked"),
    ):
        assert said in folder.refused("evaluation observe", *words), words
    assert len(folder.json("evaluation observations")) == 7, "a number is not used again"
    assert typed("form", "--day", "2025-07-01", "--result", "good")["id"] == "O-0009"
    hand_in(folder, content_of(YEAR))
    evaluated(folder, "--enter", *WHY)
    other = ("--since", "2024-01-01", "--until", "2024-12-31")  # in which nobody has a grade
    folder.json("evaluation run", *other, "--enter", *WHY)
    assert "grade" not in folder.registry.read_text()
    late = ("observe", "contact", "m-0001", "--day", LAST_DAY, "--result", "good")
    for words in (("withdraw", "O-0001", *WHY), late):
        assert "the evaluation from 2025-01-01 to 2025-12-31 is entered" in folder.refused(
            f"evaluation {words[0]}", *words[1:]
        )
    typed("contact", "--day", "2026-01-02", "--result", "good")
    for _ in range(2):
        folder.json("publication undo", *WHY)
    folder.output("evaluation withdraw", "O-0001", *WHY)
    assert "observations erased: 7" in folder.output("evaluation forget", "--before", "2026-01-01")
    assert [each["id"] for each in folder.json("evaluation observations")] == ["O-0010"]
    folder.output("evaluation forget", "--before", "2027-01-01")
    nothing = typed("assessor", "--day", "2026-01-02", "--what", "C.", "--points", "-0")
    assert (nothing["id"], nothing["points"]) == ("O-0011", "0"), "nor is a number used again that was erased"


def test_criteria_are_entered_and_raise_their_version(office):
    """The criteria go from the sample to the published file, and nobody writes a file by hand."""
    path = office.folder / "evaluation.yaml"
    first = ("--list", LIST, "--witness", WITNESS.cosigner)
    assert office.json("evaluation enter-criteria", *first, *WHY)["version"] == 1
    kept = read_criteria(path)
    assert (kept.terms.list, kept.terms.witnesses) == (LIST, (str(WITNESS.cosigner),))
    assert tree_of(kept.document)["criteria"] == tree_of(parse_criteria(SAMPLE, "sample").document)["criteria"]
    assert "that would change nothing" in office.refused("evaluation enter-criteria", *WHY)
    path.with_name("changed.yaml").write_text(CRITERIA.replace("weight: 3", "weight: 4"))
    told = office.json("evaluation enter-criteria", path.with_name("changed.yaml"), *WHY)
    assert (told["version"], read_criteria(path).sha256) == (2, told["sha256"])
    [*_, act] = OfficeLedger(office.folder).acts()
    assert (act.act, act.details["version"], act.details["criteria"]) == ("criteria-entered", 2, told["sha256"])
    path.with_name("changed.yaml").write_text(CRITERIA.replace("percent: 75", "percent: 95"))
    before = path.read_bytes()
    assert "is not below the grade before it" in office.refused(
        "evaluation enter-criteria", path.with_name("changed.yaml"), *WHY
    )
    assert path.read_bytes() == before


def test_the_next_year_and_the_pictures(folder, site, tmp_path):
    write_criteria(folder.folder, CRITERIA.replace("version: 1", "version: 2"))
    entry = folder.json("evaluation run", "--since", LAST_YEAR.start, "--until", "2024-12-31", "--enter", *WHY)[
        "history"
    ]
    assert entry["what"] == ["evaluation of m-0001 is removed"], "without figures, no grade is reached"
    assert re.search(r"^evaluations: \[\]$|^evaluations:$", folder.registry.read_text(), re.M)
    told = folder.json("evaluation list")
    assert [(each["member"], each["period"][:4], each["grade"]) for each in told] == [
        ("m-0001", "2024", ""),
        ("m-0002", "2024", ""),
        ("m-0001", "2025", "excellent"),
        ("m-0002", "2025", ""),
    ]
    folder.json("evaluation list", "--plot", tmp_path / "plot.svg", "--member", "m-0001")
    assert b"<svg" in (tmp_path / "plot.svg").read_bytes()
    assert "ends in .png or .svg" in folder.refused("evaluation list", "--plot", tmp_path / "plot.pdf")
