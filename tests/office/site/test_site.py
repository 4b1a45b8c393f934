"""The pages of the public site, the readers of each page, and the size of the site."""

import base64
import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from idtone.core.errors import TrustError, UsageError
from idtone.member.customers.refused.oprf import VOPRF
from idtone.office.authority.workspace import Workspace
from idtone.office.commands.site import detector
from idtone.office.desk.reports.report_page import FORM_PATH, SERVICE_PATH, form_page
from idtone.office.site import number_table
from idtone.office.site.number_answers import LicensedHolder, NumberAnswer, answers, changes_at, licensed_holders
from idtone.office.site.number_service import site_headers
from idtone.office.site.number_table import TOKEN_BYTES, TableFile, key_pair, look_up, table
from idtone.office.site.public_figures import CALLS_BOUND, MonthFacts, public_figures
from idtone.office.site.public_statement import verified_statement
from idtone.office.site.published_registry import published_registry
from idtone.office.site.site_folder import read_municipalities, site_files, size_without_sounds, write_site
from idtone.office.site.site_pages import SiteFacts, pages
from idtone.office.training.course import course_of
from idtone.registry.index import RegistryIndex
from idtone.registry.model import SuspensionsDocument
from idtone.registry.sources import parse_document
from lab.office.authority.office import PHRASE, Office
from lab.office.site.published_site import LICENSED, NEVER, STOPPED, UNLICENSED, site_of, statement_of
from lab.publication import LAB_REGISTRY
from lab.registry.examples import GOOD
from lab.repository import ROOT

NOW = datetime(2026, 12, 1, tzinfo=UTC)
PLAIN = {
    "index.html": "音だけでは、本物の電話かどうかは分かりません",
    "en/index.html": "The sound alone proves nothing",
}
NOT_OURS = {"index.html": "協会の音ではありません", "en/index.html": "It is not the association's sound"}


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0
        self.fields: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [value for name in ("href", "src") if (value := given.get(name))]
        self.scripts += tag == "script"
        if tag in ("input", "select", "textarea") and given.get("name"):
            self.fields.add(str(given["name"]))


def pages_of(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_the_site_is_small_whole_and_loads_nothing_from_elsewhere(built):
    site = built / "site"
    made = {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}
    assert size_without_sounds(made) <= 300_000
    for page in pages_of(site):
        links = Links(page.read_text("utf-8"))
        for link in links.found:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "tel", f"{page}: {link}"
            elif parts.path:
                assert (page.parent / parts.path).resolve().is_file(), f"{page}: {link}"
    names = {path.relative_to(site).as_posix() for path in pages_of(site) if path.parent.name != "posters"}
    assert {f"en/{name}" for name in names if "/" not in name} == {name for name in names if "/" in name}


@pytest.mark.breadth
def test_it_stays_small_with_three_hundred_members():
    until = datetime(2037, 1, 10, tzinfo=UTC)
    holders = [
        LicensedHolder(f"m-{n:04}", f"見本の電話事業者 {n} 号株式会社", f"Sample Operator No. {n}", until)
        for n in range(300)
    ]
    address = "https://sound.example.jp"
    facts = SiteFacts(
        "JUSA", "JUSA の申告係", address, address, "", "2026-12-01 00:00", 1, holders, None, 3600, 6, 0,
        course=course_of(None),
    )  # fmt: skip
    statement = json.dumps([holder.to_json() for holder in holders], ensure_ascii=False).encode()
    recogniser = detector()
    assert recogniser
    made = site_files(facts, {}, statement, number_table.NumberTable(0, {}), None, {}, recogniser.script, [])
    assert size_without_sounds(made) + 20_000 <= 300_000, "the metadata come to it"
    assert "badges/m-0299.svg" in made


@pytest.mark.parametrize("page", PLAIN)
def test_the_first_page_says_plainly_what_the_sound_does_not_prove_and_needs_no_script(built, page):
    text = (built / "site" / page).read_text("utf-8")
    assert PLAIN[page] in text
    assert NOT_OURS[page] in text, "a shipped profile is never called the association's"
    assert Links(text).scripts == 0


@pytest.mark.parametrize("page", ["course.html", "en/course.html"])
def test_everyone_can_study_the_course_without_a_script(built, page):
    course, text = course_of(None), (built / "site" / page).read_text("utf-8")
    language = "en" if page.startswith("en/") else "ja"
    lines = [words for lesson in course.lessons for words in (lesson.title, *lesson.paragraphs)]
    lines += [words for each in course.questions for words in (each.ask, *each.choices.values())]
    said = [escape(getattr(each, language)) for each in lines]
    said += [f"<strong>{each.right}</strong>. {escape(getattr(each.why, language))}" for each in course.questions]
    assert [each for each in said if each not in text] == []
    assert text.count("<details>") == len(course.questions), "each answer is closed at first"
    assert Links(text).scripts == 0


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_form_has_the_fields_of_the_report_desk(language):
    part = Path(number_table.__file__).with_name("pages") / language / "form.part"
    forms = part.read_text("utf-8").split("</form>")[:2]
    assert [Links(form).fields for form in forms] == [
        Links(form_page({}, False, "JUSA", about_service=about)).fields for about in (False, True)
    ]
    for form, path in zip(forms, (FORM_PATH, SERVICE_PATH), strict=True):
        assert f'action="$desk{path}"' in form


# -- what is told of numbers -------------------------------------------------------------------------------------------


def holders_of(text: str, now: datetime = NOW) -> list[LicensedHolder]:
    document = parse_document(text, "registry.yaml")
    suspensions = SuspensionsDocument(issued=document.registry.issued, suspensions=document.suspensions)
    return licensed_holders(document, suspensions, RegistryIndex(document), now)


def answers_of(text: str, now: datetime = NOW) -> tuple[dict[str, tuple[NumberAnswer, int]], RegistryIndex]:
    document = parse_document(text, "registry.yaml")
    index = RegistryIndex(document)
    places = {each.member: place for place, each in enumerate(holders_of(text, now), 1)}
    return {number: (answer, place) for number, answer, place in answers(index, places, now)}, index


def test_each_number_of_the_registry_has_its_answer():
    told, _ = answers_of(GOOD)
    assert len(told) == 100 + 1000 + 1
    expected = {
        LICENSED: (NumberAnswer.LICENSED, 1),
        "0312345600": (NumberAnswer.LICENSED, 1),
        "0612345999": (NumberAnswer.LICENSED, 1),
        UNLICENSED: (NumberAnswer.UNLICENSED, 0),
        STOPPED: (NumberAnswer.STOPPED, 0),
    }
    assert {number: told[f"+81{number[1:]}"] for number in expected} == expected


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("status: active", "status: revoked", NumberAnswer.UNLICENSED),
        ("status: active", "status: suspended", NumberAnswer.UNLICENSED),
        ("until: 2037-01-10", "until: 2026-12-01", NumberAnswer.UNLICENSED),
        ("from: 2026-01-10", "from: 2026-12-02", NumberAnswer.UNLICENSED),
        ("pledge: {signed: 2026-01-05}", "pledge: {signed: 2025-01-05, until: 2026-11-30}", NumberAnswer.UNLICENSED),
        ('{number: "0312345677", since', "{member: m-0001, since", NumberAnswer.STOPPED),
        ("since: 2026-03-01", "since: 2026-12-02", NumberAnswer.LICENSED),
    ],
)
def test_a_number_without_a_valid_licence_is_not_called_licensed(old, new, answer):
    assert old in GOOD
    told, _ = answers_of(GOOD.replace(old, new, 1))
    assert told["+81312345678"][0] is answer


def test_the_lab_has_each_state():
    told, _ = answers_of(LAB_REGISTRY.read_text("utf-8"))
    assert {answer for answer, _ in told.values()} >= {NumberAnswer.LICENSED, NumberAnswer.STOPPED}


def test_the_answers_hold_until_the_first_of_them_changes():
    text = GOOD.replace("reference: R-1}", "until: 2026-12-09T00:00:00+09:00, reference: R-1}")
    porting = '{numbers: "0312345678", from: m-0001, to: m-0002, at: 2026-12-05T00:00:00+09:00}'
    ported = GOOD.replace("suspensions:", f"portings:\n  - {porting}\nsuspensions:")
    for registry, names_holders, until in (
        (GOOD, True, "2036-11-30"),
        (text, True, "2026-12-08"),
        (ported, True, "2026-12-04"),
        (GOOD.replace("until: 2037-01-10", "until: 2027-01-10"), True, "2036-11-30"),
        (GOOD.replace("until: 2037-01-10", "until: 2027-01-10"), False, "2027-01-09"),
    ):
        _, index = answers_of(registry)
        document = parse_document(registry, "registry.yaml")
        assert changes_at(document, index, holders_of(registry), names_holders, NOW).date().isoformat() == until


def test_a_member_whose_numbers_are_all_stopped_has_no_badge():
    assert [holder.member for holder in holders_of(GOOD)] == ["m-0001"]
    assert holders_of(GOOD.replace('{number: "0312345677", since', "{member: m-0001, since")) == []


def test_a_large_table_is_cut_by_areas_and_says_no_number(monkeypatch):
    keys = key_pair(bytes(31) + b"\1")
    rows = [(f"+8131234{n:04}", NumberAnswer.LICENSED, 1) for n in range(3)] + [
        ("+81612345000", NumberAnswer.STOPPED, 0),
        ("+81335810110", NumberAnswer.NEVER_ORIGINATES, 0),
    ]
    whole = table(keys, rows)
    assert (whole.area_digits, list(whole.files)) == (0, [""])
    assert len(whole.files[""].octets) == 256 * 10, "its size does not say how many numbers there are"
    for number, answer, place in rows:
        assert look_up(whole.files[""], VOPRF.output(keys.secret, number.encode())) == (answer, place)
    assert look_up(whole.files[""], VOPRF.output(keys.secret, b"+81312349999")) is None
    monkeypatch.setattr(number_table, "_PADDED_TO", 1)
    monkeypatch.setattr(number_table, "FILE_LIMIT", 30)
    cut = table(keys, rows)
    assert cut.area_digits == 2
    assert sorted(cut.files) == ["31", "33", "61"]


def test_two_editions_of_a_table_say_no_answer_and_no_number_to_who_compares_them():
    keys = key_pair(bytes(31) + b"\1")
    before = {f"+8131234{n:04}": NumberAnswer.LICENSED for n in range(40)}
    after = {**before, "+81312340000": NumberAnswer.STOPPED, "+81399990000": NumberAnswer.STOPPED}

    def edition(told: dict[str, NumberAnswer]) -> tuple[TableFile, dict[bytes, bytes]]:
        file = table(keys, [(number, answer, 0) for number, answer in told.items()]).files[""]
        tokens, masked = file.octets[: 256 * TOKEN_BYTES], file.octets[256 * TOKEN_BYTES :]
        pairs = zip(batched(tokens, TOKEN_BYTES), batched(masked, 2), strict=True)
        return file, dict(pairs)

    (old, rows), (again, _), (new, later) = edition(before), edition(before), edition(after)
    assert again == old, "browsers keep a table whose answers stay"
    assert new.salt != old.salt
    assert len(rows.keys() & later.keys()) == 255, "what fills the table up stays, as the numbers do"
    same = [token for token in rows.keys() & later.keys() if rows[token] == later[token]]
    assert len(same) < 10, "no mask serves twice"


def batched(octets: bytes, size: int) -> list[bytes]:
    return [octets[at : at + size] for at in range(0, len(octets), size)]


def test_two_duty_keys_sign_and_only_they(built):
    root = published_registry(Workspace(built / "authority").repository).root
    octets = (built / "site" / "statement" / "statement.json").read_bytes()
    assert verified_statement(octets, root)["association"] == "JUSA"
    with pytest.raises(TrustError, match="needs the signatures of 2 of the duty keys, and has 0"):
        verified_statement(octets.replace(b"JUSA", b"JUSB"), root)


def test_the_association_decides_whether_the_holder_is_named_and_the_course_published(built, tmp_path, monkeypatch):
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    office = Office(tmp_path / "authority", monkeypatch)
    terms = office.folder / "authority.yaml"
    terms.write_text(terms.read_text().replace("names_holders: true, course: true, ", ""))
    site = site_of(office)
    assert (site / "course.html").exists()
    told = office.json("site write", "-o", site, *office.duty())
    assert not [*site.rglob("course.html")], "by default the answers of the test are kept back"
    assert "course.html" not in (site / "index.html").read_text("utf-8")
    assert told["tells"] == "licensed"
    assert len(list((site / "numbers").iterdir())) == 2, "a visitor may have begun with the table before"
    (site / "numbers" / "notes.txt").write_text("ours")
    (site / "sounds" / "own.wav").write_bytes(b"x")
    with_sound = ("-o", site, "--sound", site / "sounds" / "sample.wav", *office.duty())
    office.json("site write", *with_sound)
    assert len(list((site / "numbers").glob("*.bin"))) == 1, "now it is gone"
    assert (site / "sounds" / "standard.wav").exists()
    office.json("site write", "-o", site, *office.duty())
    assert not (site / "sounds" / "standard.wav").exists(), "it was withdrawn"
    assert (site / "numbers" / "notes.txt").exists()
    assert (site / "sounds" / "own.wav").exists(), "what others put there stays"
    numbers = statement_of(site)["numbers"]
    keys = key_pair((office.folder / "public-numbers.key").read_bytes())
    listed = numbers["tables"][""]
    file = TableFile((site / "numbers" / listed["file"]).read_bytes(), base64.b64decode(listed["salt"]))
    for number, answer in (
        (LICENSED, NumberAnswer.LICENSED),
        (STOPPED, NumberAnswer.STOPPED),
        (NEVER, NumberAnswer(3)),
    ):
        assert look_up(file, VOPRF.output(keys.secret, f"+81{number[1:]}".encode())) == (answer, 0)
    too_few = ("site write", "-o", office.folder.with_name("other"), *office.keys("duty-1"))
    assert "needs the signatures of 2 of the duty keys, and has 1" in office.refused(*too_few)
    assert not office.folder.with_name("other").exists()


def test_in_a_shared_folder_each_clerk_may_use_the_keys_and_the_figures(built, tmp_path, monkeypatch):
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    office = Office(tmp_path / "authority", monkeypatch)
    for path in (office.folder, *office.folder.rglob("*")):
        path.chmod(0o2770 if path.is_dir() else 0o660)
    (office.folder / "public-numbers.key").unlink()
    month = ("--month", "2025-10", "-o", site_of(office), *office.duty())
    office.json("site write", *month)
    modes = {
        name: (office.folder / name).stat().st_mode & 0o2777
        for name in ("public-numbers.key", "public-figures.key", "public-figures", "public-figures/2025-10.json")
    }
    assert list(modes.values()) == [0o660, 0o660, 0o2770, 0o660]
    office.json("site write", *month)
    (office.folder / "public-figures.key").chmod(0o664)
    assert "chmod 660" in office.refused("site write", *month)


# -- figures and posters -----------------------------------------------------------------------------------------------


def figures(sent: dict[str, int], waits_h: list[float | None]) -> dict[str, object]:
    stops = [(NOW, None if wait is None else NOW - timedelta(hours=wait)) for wait in waits_h]
    content: dict[str, object] = json.loads(public_figures(MonthFacts("2026-11", sent, ["d"], stops), 5, b"secret"))
    return content


def test_figures_hide_small_counts_and_bound_each_member():
    assert figures({f"m-{n}": 1 for n in range(9)}, [])["calls_with_sound"] is None, "a sum below its noise"
    few = figures({"m-1": 9, "m-2": 9}, [1.0, None])
    hidden = ("members", "calls_with_sound", "stops", "median_hours_report_to_stop")
    assert [few[name] for name in hidden] == [None] * 4
    assert few["documents_sha256"] == []
    many = {f"m-{n}": 20_000 for n in range(40)}
    told = figures(many, [1.0, 2.0, 30.0, 4.0, 5.0, None])
    assert (told["members"], told["stops"], told["median_hours_report_to_stop"]) == (40, 6, 4.0)
    assert told == figures(many, [1.0, 2.0, 30.0, 4.0, 5.0, None]), "the same noise each time"
    assert told["calls_with_sound"] != 800_000
    facts = SiteFacts("JUSA", "", "", "", "", "", 1, [], told, 3600, 6, 0)
    assert f"{told['calls_with_sound']:,} ± 50,000" in dict(pages(facts))["figures.html"]
    large = figures({**many, "m-0": CALLS_BOUND}, [])
    assert figures({**many, "m-0": 10**9}, []) == large, "one member can move the figure by the bound at most"


def test_a_municipality_gets_a_poster_from_what_excel_writes(tmp_path):
    path = tmp_path / "cities.csv"
    for octets in (
        "name,contact\r\n見本市,消費生活センター 0312345600\r\n".encode("cp932"),
        "name,contact\n見本市,\n".encode(),
    ):
        path.write_bytes(octets)
        assert read_municipalities(path)[0]["name"] == "見本市"
    path.write_text("city\nx\n")
    with pytest.raises(UsageError, match="has no column `name`"):
        read_municipalities(path)


def test_the_web_server_can_read_the_site_whatever_the_umask_of_the_office_is(tmp_path):
    before = os.umask(0o077)
    try:
        write_site(
            tmp_path / "new" / "site", {"index.html": b"a", "numbers/x": b"b", "statement/statement.json": b"{}"}
        )
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "new").rglob("*")}
    assert len(modes) == 7
    assert [path for path, mode in modes.items() if mode != (0o755 if path.is_dir() else 0o644)] == []


def test_no_page_has_an_unfilled_field(built):
    for page in pages_of(built / "site"):
        assert not re.search(r"\$[a-z{]", page.read_text("utf-8")), page


def test_the_sample_of_nginx_sends_the_sites_headers_and_lets_badges_load_its_script():
    sample = (ROOT / "config" / "nginx-office.conf").read_text("utf-8")
    server = next(part for part in sample.split("server {") if "server_name sound.example.jp;" in part)
    location = server.partition("location / {")[2].partition("}")[0]
    sent = dict(re.findall(r'add_header (\S+) "?([^"\n]*?)"?;\n', location))
    assert sent.pop("Access-Control-Allow-Origin") == "*"
    assert sent == {
        name: " ".join(value.split()) for name, value in site_headers("https://desk.example.jp", "").items()
    }
