"""The commands that record, open, end and forget a form, and attempts that must not succeed."""

import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idtone.core.persons import AccountKnownBy, Person, console_person
from idtone.core.settings.settings import Settings, load_settings
from idtone.core.terminal import command_line
from idtone.ledger.commands import options
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_act
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Scalar, Step, StepKind
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.member.customers.commands import clock, records
from idtone.member.customers.customer_form import CustomerKind
from idtone.member.customers.record_history import FormAct, histories, opening_requests, years_after
from idtone.member.customers.record_store import CustomerRecord, RecordFolder, RecordStore
from lab.cached_folders import fill_from_cache
from lab.ledger.sample_evidence import ALICE, BOB
from lab.member.customers.sample_forms import TODAY, complete_form, form_text
from lab.terminal import Terminal

CAROL = Person(1003, "carol", AccountKnownBy.LOGIN)
NUMBERS = ["+81312345678", "+81312345679"]
NAME = "見本 customer.name.ja"
WHY = ("--why", "R-7")


class Operator(Terminal):
    """A member's machine, its clock, and the persons who use it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.config = folder / "idtone.yaml"
        self.set()
        self.at(datetime(2026, 11, 27, 3, tzinfo=UTC))
        self.be(ALICE)
        monkeypatch.setattr("idtone.ledger.writing.ledger_writer.LINGER_S", 0.01)

    def set(self, exports: str = "one-person") -> None:
        self.config.write_text(
            f"node: pbx-1\ncustomers: {{directory: {self.folder}/customers}}\nledger: {{exports: {exports}, "
            f"reserve: 0, url: 'sqlite:///{self.folder}/ledger/l.sqlite3', key_file: {self.folder}/ledger/key}}\n"
        )

    @property
    def settings(self) -> Settings:
        return load_settings(self.config, {})

    @property
    def key_ring(self) -> KeyRing:
        return KeyRing.of(self.settings.ledger, "pbx-1")

    @property
    def store(self) -> RecordStore:
        return RecordStore.open(self.settings.customers, make=True)

    def at(self, moment: datetime) -> None:
        self.monkeypatch.setattr(clock, "now", lambda: moment)

    def be(self, person: Person) -> None:
        for module in (records, options):
            self.monkeypatch.setattr(module, "acting_person", lambda: person)

    def form(self, id_: str = "C-1", **changes: Any) -> Path:
        tree = complete_form(CustomerKind.PERSON) | {"id": id_} | changes
        tree["numbers"] = {"area": "03", "assigned": NUMBERS} | tree["numbers"]
        path = self.folder / f"{id_}.yaml"
        path.write_text(form_text(tree), "utf-8")
        return path

    def run(self, *words: object, typed: str = "") -> tuple[int, Any, str]:
        return super().run("form", *words, "-c", self.config, typed=typed)

    def acts(self) -> list[Step]:
        with LedgerReader.open(self.settings.ledger.own_url()) as reader:
            return reader.acts(frozenset({StepKind.DUTY}))

    def forge(self, act: FormAct, at: datetime, **details: Scalar) -> None:
        """Record an act that no command makes: an attack with access to the ledger."""
        record_act(
            self.settings.ledger.own_url(),
            "pbx-1",
            self.key_ring,
            lambda id_: steps.duty(id_, at, ALICE, act, "C-1", details),
            DisclosureRules(),
        )

    def states(self) -> dict[str, str]:
        _, rows, _ = self.run("list", "--json")
        return {row["id"]: row["state"] for row in rows}


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    made = Operator(tmp_path, monkeypatch)
    LedgerWriter.open(made.settings.ledger.own_url(), "pbx-1", made.key_ring).close()
    return made


@pytest.fixture
def recorded(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """An operator that has recorded one form."""
    fill_from_cache(tmp_path_factory, "form", operator.folder, lambda: operator.json("record", operator.form()))
    operator.set()
    return operator


def test_a_form_is_kept_sealed_and_opened_by_its_number_for_a_reason(operator):
    path = operator.form()
    made = operator.json("record", path)
    assert made["numbers"] == 2
    assert operator.json("list")[0]["numbers"] == 2, "as the ledger says"
    shown = operator.json("show", *WHY, typed="03-1234-5679\n")
    assert (shown["form"], shown["numbers"], shown["record"]) == (path.read_text(), NUMBERS, made["record"])
    code, out, err = operator.run("show", "C-1", *WHY)
    assert (code, NAME in out, "opened as" in err) == (0, True, True)
    acts = operator.acts()
    assert [step.details["act"] for step in acts] == ["form-recorded", "form-opened", "form-opened"]
    assert (acts[1].details["why"], acts[1].details["by"], acts[0].details["digest"]) == (
        "R-7",
        "alice",
        made["digest"],
    )
    for file in [*operator.folder.glob("customers/**/*"), *operator.folder.glob("ledger/*")]:
        if file.is_file():
            octets = file.read_bytes()
            assert not any(secret in octets for secret in (b"12345678", NAME.encode(), b"1980-02-29")), file


def test_a_list_has_the_machines_time_for_people_and_utc_for_programs(operator, in_japan):
    operator.json("record", operator.form())
    assert operator.json("list")[0]["recorded"] == "2026-11-27T03:00:00.000+00:00"
    assert "2026-11-27T03:00:00.000+00:00" in operator.run("list", "--csv")[1]
    assert "2026-11-27 12:00:00.000+09:00" in operator.run("list")[1]


def test_numbers_that_the_form_lacks_are_asked_for(operator):
    path = operator.form(numbers={"count": 2, "kinds": ["fixed"], "area": "03", "assigned": []})
    told = operator.error("record", path, typed="0312345678\n09012345678\n")
    assert ("does not ask for: mobile" in told, "5678" in told) == (True, False)
    assert "2 numbers, and 1 were assigned" in operator.error("record", path, typed="0312345678\n")
    assert operator.json("record", path, typed="0312345678\n03-1234-5679\n")["numbers"] == 2
    assert operator.store.get("C-1")[0].numbers == tuple(NUMBERS)


def test_only_a_complete_form_is_recorded_and_each_id_once(operator):
    assert "sites: is missing" in operator.error("record", operator.form(sites=[]))
    assert operator.states() == {}
    assert operator.json("forget") == {"forgotten": []}
    operator.json("record", operator.form())
    assert "C-1 is recorded already" in operator.error("record", operator.form())


def test_a_number_that_got_another_customer_finds_the_contract_in_force(recorded):
    recorded.json("record", recorded.form("C-2"))
    assert "C-1, C-2" in recorded.error("show", *WHY, typed="0312345678\n")
    assert recorded.run("end", "C-1", "--on", "2026-11-30")[:2] == (
        0,
        "C-1: ends on 2026-11-30, kept until 2033-11-30\n",
    )
    assert recorded.json("show", *WHY, typed="0312345678\n")["id"] == "C-2"
    assert "no recorded form" in recorded.error("show", *WHY, typed="0312345670\n")


def test_seven_years_after_the_end_a_form_is_forgotten_and_not_a_day_earlier(recorded):
    recorded.json("record", recorded.form("C-2"))
    assert recorded.run("end", "C-1", "--on", "2026-11-30")[0] == 0
    recorded.at(datetime(2033, 11, 30, 14, 59, tzinfo=UTC))  # still the 30th in Japan
    assert recorded.json("forget", "--yes") == {"forgotten": []}
    recorded.at(datetime(2033, 11, 30, 15, tzinfo=UTC))
    assert recorded.states() == {"C-1": "due", "C-2": "in-force"}
    key = recorded.folder / "customers/keys/C-1"
    copy = recorded.folder / "link"
    os.link(key, copy)
    code, out, _ = recorded.run("forget", typed="n\n")
    assert (code, "C-1" in out, "C-2" in out, key.exists()) == (command_line.NEGATIVE, True, False, True)
    assert recorded.json("forget", "--yes") == {"forgotten": ["C-1"]}
    assert set(copy.read_bytes()) == {0}, "overwritten where it was"
    assert recorded.states() == {"C-1": "forgotten", "C-2": "in-force"}
    assert "was forgotten at" in recorded.error("show", "C-1", *WHY)
    assert recorded.json("show", *WHY, typed="0312345678\n")["id"] == "C-2"


def test_a_forgetting_that_was_cut_off_is_finished_by_the_next(recorded, monkeypatch):
    recorded.run("end", "C-1", "--on", "2026-11-27")
    recorded.at(datetime(2034, 1, 1, tzinfo=UTC))
    with monkeypatch.context() as broken:
        broken.setattr(RecordFolder, "destroy", lambda *_: exit(9))
        assert recorded.run("forget", "--yes")[0] == 9
    assert recorded.store.has_key("C-1")
    assert recorded.json("forget", "--yes") == {"forgotten": []}
    assert not recorded.store.has_key("C-1")


def test_a_recording_that_was_cut_off_is_repeated_with_the_same_digest(operator, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(records._Office, "enter", lambda *_, **__: exit(9))
        assert operator.run("record", operator.form())[0] == 9
    assert operator.states() == {"C-1": "unrecorded"}
    digest = operator.store.get("C-1")[1]
    assert operator.json("record", operator.form())["digest"] == digest
    assert operator.states() == {"C-1": "in-force"}


def test_two_persons_open_a_form_and_the_one_who_asks_cannot_approve(recorded):
    recorded.set("two-persons")
    request = recorded.json("show", "C-1", *WHY)["request"]
    again = ("show", "--request", request)
    assert "it is not approved yet" in recorded.error(*again)
    assert "another person than the one" in recorded.error("approve", request, "--yes")
    recorded.be(BOB)
    assert recorded.run("approve", request, typed="n\n")[0] == command_line.NEGATIVE
    assert "R-7" in recorded.run("approve", request, "--yes")[1]
    recorded.be(CAROL)
    assert "another person has requested" in recorded.error(*again)
    recorded.be(ALICE)
    assert recorded.json(*again)["numbers"] == NUMBERS
    assert "it was used already" in recorded.error(*again)


def test_an_account_of_no_person_opens_no_form_of_two_persons(recorded):
    recorded.set("two-persons")
    recorded.be(Person(0, "root", AccountKnownBy.ACCOUNT))
    assert "no person's own account" in recorded.error("show", "C-1", *WHY)


def test_a_request_expires_and_a_forged_approval_of_oneself_has_no_effect(recorded):
    recorded.set("two-persons")
    request = recorded.json("show", "C-1", *WHY)["request"]
    recorded.forge(FormAct.OPENING_APPROVED, clock.now(), request=request)
    assert opening_requests(recorded.acts())[request].approved_by is None
    recorded.at(clock.now() + timedelta(days=8))
    recorded.be(BOB)
    assert "it has expired" in recorded.error("approve", request, "--yes")


def test_two_users_of_the_console_are_two_persons_and_an_account_beside_them_may_be_one_of_them(recorded):
    recorded.set("two-persons")
    sato, suzuki, mori = map(console_person, ("sato", "suzuki", "mori"))
    recorded.be(sato)
    request = recorded.json("show", "C-1", *WHY)["request"]
    again = ("show", "--request", request)
    for person, told in ((sato, "another person than the one"), (ALICE, "is approved in the console")):
        recorded.be(person)
        assert told in recorded.error("approve", request, "--yes")
    recorded.be(suzuki)
    assert recorded.run("approve", request, "--yes")[0] == 0
    recorded.be(mori)
    assert "another person has requested" in recorded.error(*again)
    recorded.be(suzuki)
    assert recorded.json(*again)["numbers"] == NUMBERS


def put_again(operator: Operator, change: Callable[[CustomerRecord], CustomerRecord]) -> None:
    """Replace the record: an attack with the folder's key, but without access to the ledger."""
    operator.store.put(change(operator.store.get("C-1")[0]))


def overwritten(operator: Operator, folder: str) -> None:
    path = operator.folder / "customers" / folder / "C-1"
    octets = path.read_bytes()
    path.write_bytes(octets[:-1] + bytes([octets[-1] ^ 1]))


def moved(operator: Operator, *folders: str) -> None:
    operator.json("record", operator.form("C-2", numbers={"assigned": ["0312345670"]}))
    for folder in folders:
        shutil.copy(operator.folder / "customers" / folder / "C-2", operator.folder / "customers" / folder / "C-1")


CHANGED = "is not the form that was recorded"
SEALED = "is not what was sealed under this key"
ATTACKS: dict[str, tuple[Callable[[Operator], object], str]] = {
    "the record is overwritten": (lambda o: overwritten(o, "records"), SEALED),
    "the key is overwritten": (lambda o: overwritten(o, "keys"), SEALED),
    "the record of another customer": (lambda o: moved(o, "records"), SEALED),
    "record and key of another customer": (lambda o: moved(o, "records", "keys"), SEALED),
    "the form is changed and sealed again": (
        lambda o: put_again(o, lambda r: CustomerRecord(r.id, r.form + "\n", r.numbers, r.rules, r.by, r.at)), CHANGED
    ),
    "the record is moved to another number": (
        lambda o: put_again(o, lambda r: CustomerRecord(r.id, r.form, ("+81312345670",), r.rules, r.by, r.at)), CHANGED
    ),
    "a second recording in the ledger": (
        lambda o: (
            put_again(o, lambda r: CustomerRecord(r.id, "x", r.numbers, r.rules, r.by, r.at)),
            o.forge(FormAct.RECORDED, clock.now(), digest=o.store.get("C-1")[1], count=2),
        ),
        CHANGED,
    ),
    "the record is removed": (lambda o: (o.folder / "customers/records/C-1").unlink(), "there is no record C-1 here"),
    "others can read the key": (lambda o: (o.folder / "customers/root.key").chmod(0o640), "others can read"),
    "an id that leaves the folder": (lambda o: None, "no record ../root.key"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_form_that_is_not_what_was_recorded_is_not_shown(recorded, attack):
    change, error = ATTACKS[attack]
    change(recorded)
    id_ = "../root.key" if "leaves" in attack else "C-1"
    code, out, err = recorded.run("show", id_, *WHY)
    assert (code, out) == (command_line.UNUSABLE, "")
    assert error in err
    assert not [step for step in recorded.acts() if step.details["act"] == FormAct.OPENED]


def test_a_damaged_record_does_not_hide_the_others(recorded):
    recorded.json("record", recorded.form("C-2"))
    overwritten(recorded, "records")
    code, out, err = recorded.run("show", *WHY, "--json", typed="0312345678\n")
    assert (code, out["id"]) == (0, "C-2")
    assert f"C-1: the record C-1 {SEALED}" in err
    shutil.rmtree(recorded.folder / "customers/keys")
    assert recorded.run("list")[0] == command_line.NEGATIVE
    assert set(recorded.states().values()) == {"lost"}


LONG_AGO = datetime(2026, 11, 27, 4, tzinfo=UTC)
EARLY: dict[str, Callable[[Operator], object]] = {
    "an end before the form was recorded": lambda o: o.error("end", "C-1", "--on", "2019-01-01"),
    "an end of long ago": lambda o: o.error("end", "C-1", "--on", "2028-01-01"),
    "an end of long ago, forged": lambda o: o.forge(FormAct.ENDED, clock.now(), on="2027-01-01"),
    "an end with a forged time": lambda o: (
        o.json("record", o.form("C-2")), o.forge(FormAct.ENDED, LONG_AGO, on="2026-11-27")
    ),
    "an end that is no day": lambda o: o.forge(FormAct.ENDED, clock.now(), on="soon"),
    "forgotten by a forged act": lambda o: o.forge(FormAct.FORGOTTEN, clock.now()),
    "forgotten by a forged act of the future": lambda o: (
        o.run("end", "C-1", "--on", "2034-06-01"), o.forge(FormAct.FORGOTTEN, datetime(2050, 1, 1, tzinfo=UTC))
    ),
    "rules with less than seven years": lambda o: o.config.write_text(
        o.config.read_text().replace("customers: {", f"customers: {{rules: {short_rules(o.folder)}, ")
    ),
}  # fmt: skip


def short_rules(folder: Path) -> Path:
    path = folder / "rules.yaml"
    text = (Path(__file__).parents[3] / "config/customer_rules.yaml").read_text("utf-8")
    path.write_text(text.replace("keep_years: 7", "keep_years: 0"), "utf-8")
    return path


@pytest.mark.parametrize("attack", EARLY)
def test_no_form_is_forgotten_early(recorded, attack):
    recorded.at(datetime(2034, 6, 1, tzinfo=UTC))  # a contract of more than seven years
    EARLY[attack](recorded)
    recorded.run("forget", "--yes")
    recorded.set()
    assert recorded.json("show", "C-1", *WHY)["numbers"] == NUMBERS


def test_of_two_ends_the_later_counts():
    def act(kind: FormAct, **details: Scalar) -> Step:
        return steps.duty("act-1", at, ALICE, kind, "C-1", details)

    at = datetime(2026, 11, 27, 3, tzinfo=UTC)
    told = [act(FormAct.RECORDED, digest="x", count=1), act(FormAct.ENDED, on="2026-12-31")]
    assert histories([*told, act(FormAct.ENDED, on="2026-11-27")], at)["C-1"].ends == date(2026, 12, 31)
    assert years_after(date(2028, 2, 29), 7) == date(2035, 3, 1)
    assert years_after(TODAY, 7) == date(2033, 11, 27)


def test_other_users_can_read_nothing_whatever_the_umask(operator):
    before = os.umask(0)
    try:
        operator.json("record", operator.form())
        operator.run("print", operator.form(), "-o", operator.folder / "form.pdf")
        operator.run("new", "company", "--id", "C-9", "-o", operator.folder / "new.yaml")
    finally:
        os.umask(before)
    found = [operator.folder / "form.pdf", operator.folder / "new.yaml", *operator.folder.glob("customers/**/*")]
    assert len(found) == 8
    for path in [operator.folder / "customers", *found]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_new_form_names_what_is_missing_in_it(operator):
    path = operator.folder / "new.yaml"
    assert operator.run("new", "person", "--id", "C-9", "-o", path)[0] == 0
    assert "exists already" in operator.error("new", "person", "--id", "C-9", "-o", path)
    assert "is not an id" in operator.error("new", "person", "--id", "../x", "-o", operator.folder / "x")
    code, out, _ = operator.run("check", path)
    assert (code, out.splitlines()[-1]) == (command_line.NEGATIVE, f"{path}: 18 faults")
    assert f"{path}:11:7: application.customer.name.ja: is missing. Add it: 本人特定事項(氏名又は名称) / " in out
    assert operator.json("check", operator.form())["good"] is True


def test_a_form_is_printed(operator):
    pdf = operator.folder / "x.pdf"
    for what in ([operator.form()], ["--blank", "company"]):
        assert operator.run("print", *what, "-o", pdf)[0] == 0
        assert pdf.read_bytes().startswith(b"%PDF")
    assert "name a form" in operator.error("print", "-o", pdf)


def test_a_reason_has_no_telephone_number(operator):
    assert "telephone number" in operator.error("show", "C-1", "--why", "of 03-1234-5678")
