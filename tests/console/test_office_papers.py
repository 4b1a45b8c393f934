"""The papers that the office prints. They say what is published, and show no number."""

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta

import pytest

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN, last_day
from idtone.core.paper.content import Paper
from idtone.office.authority.history import Action, HistoryEntry, ReviewResult
from idtone.office.authority.workspace import Workspace
from idtone.office.papers.letters import Letter, Sender, letter
from idtone.office.papers.period_account import period_account
from idtone.office.papers.workspace_papers import licence_paper
from idtone.registry.parsers import parse_registry
from idtone.registry.sources import parse_document
from lab.console.office_forms import ME
from lab.console.site import Site
from lab.office.authority.office import STOP, TWICE, WHY, Office
from lab.registry.examples import GOOD

PAGE = "/office/papers"
SIGNED = {"person": "事務局長 見本", "number": "2026-7"}
PERIOD = "since=2020-01-01&through=2035-12-31"


@pytest.fixture
async def at_office(site_of, office: Office) -> Site:
    return await site_of(office.folder)


async def test_the_account_of_a_period_is_shown_and_given_as_csv_and_pdf(at_office, office, tmp_path):
    office.json("licence suspend", "L-0001", *WHY)
    office.json("licence resume", "L-0001", *WHY)
    office.json("licence suspend", "L-0001", *WHY)
    office.json("publication undo", *WHY)
    office.json("suspension number", *STOP, typed=TWICE)
    visitor = await at_office.visitor(*ME)
    assert "R-7" not in (await visitor.get(f"{PAGE}/stops.csv?{PERIOD}")).text, "it is approved, and not published"
    office.json("publication publish", *office.all_keys())
    office.json("licence revoke", "L-0001", *WHY)
    shown = (await visitor.get(f"{PAGE}?{PERIOD}")).text
    assert "R-7" in shown
    assert "2345677" not in shown
    acts = await visitor.get(f"{PAGE}/acts.csv?{PERIOD}")
    assert acts.text.startswith("\ufeff")
    assert "許諾の一時停止 / licence suspended,1" in acts.text, "what was taken back does not count"
    assert "許諾の取消し / licence revoked,0" in acts.text, "it is not published"
    assert (await visitor.get(f"{PAGE}/account.pdf?{PERIOD}")).text[:5] == "%PDF-"
    assert (await visitor.get(f"{PAGE}?since=2035-01-01&through=2020-01-01")).status == 400
    assert (await visitor.get(f"{PAGE}/no.csv?{PERIOD}")).status == 404
    told = office.json("paper account", "--since", "2020-01-01", "--until", "2035-12-31", "-o", tmp_path / "account")
    assert [each["文書番号・対象 / reference"] for each in told["stops"]] == ["R-7"]
    assert "1234567" not in json.dumps(told)
    assert (tmp_path / "account" / "account.pdf").read_bytes()[:5] == b"%PDF-"
    assert "has not begun" in office.refused("paper account", "--year", "2090", "-o", tmp_path / "later")


TAKEN_BACK = "公開前に取り消した変更 / changes taken back before their publication"


def change(action: Action, at: datetime, left: str, **more: object) -> HistoryEntry:
    after = hashlib.sha256(left.encode()).hexdigest()
    return HistoryEntry(at=at, action=action, by="a", subject="L-0001", why="asked", after=after, **more)


def test_a_change_that_a_later_period_took_back_counts_in_neither():
    document = parse_registry(GOOD.partition("suspensions:")[0], "registry.yaml")
    first, later = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    twice = change(Action.SUSPEND_LICENCE, first, "a")
    taken = change(Action.SUSPEND_LICENCE, first + timedelta(hours=1), "b")
    undone = change(Action.UNDO, later, "a", undone=Action.SUSPEND_LICENCE, before=taken.after)
    reviewed = change(Action.REVIEW, first, "a", result=ReviewResult.PASSED)
    for day, count in ((first, "1"), (later, "0")):
        lines = [twice, reviewed, taken, undone]
        made = period_account(document, lines, [], {"open": 3}, day.date(), day.date(), later)
        acts = dict(made.table("acts").rows)
        assert acts["許諾の一時停止 / licence suspended"] == count
        assert acts.get("- 適合 / passed", "0") == count
        assert acts[TAKEN_BACK] == ("0" if day is first else "1")
        assert made.table("reports").rows == [("発信元が不明 / origin not found", "3")]


def test_a_change_that_was_taken_back_leaves_its_trace_before_any_publication_signs_it():
    document = parse_registry(GOOD.partition("suspensions:")[0], "registry.yaml")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    taken = change(Action.SUSPEND_LICENCE, now, "b")
    undone = change(Action.UNDO, now, "a", undone=Action.SUSPEND_LICENCE, before=taken.after)
    made = period_account(document, [], [taken, undone], {}, now.date(), now.date(), now)
    acts = dict(made.table("acts").rows)
    assert acts["許諾の一時停止 / licence suspended"] == "0"
    assert (acts[TAKEN_BACK], acts["- うち未署名 / of these, not signed yet"]) == ("1", "1")


def test_a_licence_without_a_pledge_in_force_is_not_counted_as_valid():
    document = parse_registry(GOOD.partition("suspensions:")[0], "registry.yaml")
    now = datetime(2026, 12, 1, tzinfo=UTC)
    member = document.members[0]
    lapsed = member.model_copy(update={"pledge": member.pledge.model_copy(update={"until": now.date()})})
    for each, licences in ((member, ["L-0001"]), (lapsed, [])):
        made = period_account(
            document.model_copy(update={"members": (each,)}),
            [],
            [],
            {},
            now.date(),
            now.date(),
            now + timedelta(days=1),
        )
        assert made.table("members").rows[0][4].split()[:1] == licences


async def test_a_certificate_says_only_what_is_published_and_valid(at_office, office, tmp_path):
    visitor = await at_office.visitor(*ME)
    fields = {"licence": "m-0001 L-0001", **SIGNED}
    made = await visitor.send(PAGE, f"{PAGE}/certificate", fields)
    assert (made.status, made.text[:5]) == (200, "%PDF-")
    pdf = tmp_path / "c.pdf"
    office.output("paper certificate", "m-0001", "L-0001", "--person", SIGNED["person"], "-o", pdf)
    assert pdf.read_bytes()[:5] == b"%PDF-"
    office.json("licence suspend", "L-0001", *WHY)
    refused = await visitor.send(PAGE, f"{PAGE}/certificate", fields)
    assert (refused.status, "is not published as it stands" in refused.text) == (400, True)
    office.json("publication publish", *office.all_keys())
    refused = await visitor.send(PAGE, f"{PAGE}/certificate", fields)
    assert (refused.status, "is not active any more" in refused.text) == (400, True)


def words(paper: Paper) -> str:
    return " ".join(f"{name} {value}" for section in paper.sections for name, value in section.facts)


def test_a_certificate_has_the_published_particulars_and_the_end_of_what_ends_first(office):
    workspace, by = Workspace(office.folder), Sender(SIGNED["person"], "")
    ends = datetime.now(UTC).date() + timedelta(days=100)
    office.json(
        "member certify",
        "m-0001",
        "--number",
        "第1号",
        "--document",
        "通知書1",
        "--until",
        ends.isoformat(),
        "--next-check",
        ends.isoformat(),
        *WHY,
    )
    before = words(licence_paper(workspace, "m-0001", "L-0001", by, datetime.now(UTC)))
    assert ends.isoformat() not in before, "it is not published"
    office.json("publication publish", *office.all_keys())
    office.json("member describe", "m-0001", "--corporate-number", "8999999999901", *WHY)
    made = words(licence_paper(workspace, "m-0001", "L-0001", by, datetime.now(UTC)))
    lapses = workspace_end(workspace)
    assert f"– {last_day(lapses)}" in made
    assert "8999999999901" not in made, "it is not published"
    with pytest.raises(UsageError, match="certification has lapsed"):
        licence_paper(workspace, "m-0001", "L-0001", by, lapses + timedelta(days=1))


def workspace_end(workspace: Workspace) -> datetime:
    """The moment at which the member's published certification lapses."""
    document = parse_registry(workspace.repository.file_octets("registry").decode(), "registry.yaml")
    return document.members[0].certification.lapses


def test_a_member_whose_numbers_are_all_stopped_gets_no_certificate(office):
    office.json("suspension member", *STOP, typed="m-0001\nm-0001\n")
    office.json("publication publish", *office.all_keys())
    with pytest.raises(UsageError, match="all numbers of the member are suspended"):
        licence_paper(Workspace(office.folder), "m-0001", "L-0001", Sender("x", ""), datetime.now(UTC))


async def test_a_letter_about_a_stop_is_printed_only_of_a_published_one(at_office, office):
    visitor = await at_office.visitor(*ME)
    fields = {"member": "m-0001", "which": "stopped", **SIGNED}
    office.json("suspension number", *STOP, typed=TWICE)
    refused = await visitor.send(PAGE, f"{PAGE}/letter", fields)
    assert (refused.status, "no published suspension is in force" in refused.text) == (400, True)
    office.json("publication publish", *office.duty())
    assert (await visitor.send(PAGE, f"{PAGE}/letter", fields)).text[:5] == "%PDF-"
    assert (await visitor.send(PAGE, f"{PAGE}/letter", fields | {"member": "m-0002"})).status == 400


async def test_a_letter_about_an_end_is_printed_only_if_the_end_is_near(at_office, office):
    visitor, soon = await at_office.visitor(*ME), datetime.now(UTC) + timedelta(days=30)
    fields = {"member": "m-0001", **SIGNED}
    for which in ("renewal", "pledge", "certification"):
        refused = await visitor.send(PAGE, f"{PAGE}/letter", fields | {"which": which})
        assert (refused.status, "ends within 60 days" in refused.text) == (400, True), which
    text = office.registry.read_text("utf-8")
    office.registry.write_text(text.replace("until: 2037-01-10", f"until: {soon:%Y-%m-%d}"), "utf-8")
    made = await visitor.send(PAGE, f"{PAGE}/letter", fields | {"which": "renewal"})
    assert (made.status, made.text[:5]) == (200, "%PDF-")


NOW = datetime(2026, 11, 2, tzinfo=UTC)
ENDING = GOOD.replace("until: 2037-01-10", "until: 2026-12-20").replace(
    "pledge: {signed: 2026-01-05}",
    """pledge: {signed: 2026-01-05, until: 2026-12-15}
    certification: {number: N-7, until: 2026-12-10, document: 認定通知書, next_check: 2026-12-10}""",
)


@pytest.mark.parametrize(
    ("which", "word", "day"),
    [
        (Letter.RENEWAL, "利用許諾 / licence L-0001", date(2026, 12, 20)),
        (Letter.PLEDGE, "誓約 / pledge", date(2026, 12, 15)),
        (Letter.CERTIFICATION, "認定 / certification", date(2026, 12, 10)),
    ],
)
def test_a_letter_names_what_ends_within_60_days_and_nothing_else(which, word, day):
    document, end = parse_document(ENDING, "registry.yaml"), datetime.combine(day, time(), JAPAN)

    def facts(now, of=document):
        return dict(letter(which, of, of.members[0], Sender("Sato", ""), now).sections[0].facts)

    assert f"{day - timedelta(days=1)}" in facts(NOW)[word]
    assert word in facts(end - timedelta(days=60))
    for now in (end - timedelta(days=60, seconds=1), end):
        with pytest.raises(UsageError, match="ends within 60 days"):
            facts(now)
    if which is Letter.RENEWAL:
        with pytest.raises(UsageError, match="ends within 60 days"):
            facts(NOW, parse_document(ENDING.replace("status: active", "status: suspended"), "registry.yaml"))
