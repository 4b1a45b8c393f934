"""Refused contractors, from the association's office, desk and signed list to a member; and attacks on each step."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idtone.core.errors import TrustError, UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.signed_notes import Signer
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.keys.private_files import replace_private
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.member.customers.refused.customer_identity import parse_customer
from idtone.member.customers.refused.identity_keys import KEYS_LIMIT
from idtone.member.customers.refused.oprf import VOPRF
from idtone.member.customers.refused.refusal_check import KIND, RefusalCheck, elements_of
from idtone.member.customers.refused.refusal_list import RefusalList
from idtone.office.authority.workspace import Workspace
from idtone.office.desk.document_desk import Accepted, DocumentDesk
from idtone.office.desk.document_kinds import RULES
from idtone.office.desk.office_ledger import OfficeLedger
from idtone.office.refused.blind_evaluation import BlindEvaluation
from idtone.office.refused.change_refusals import Refusals
from idtone.office.refused.refusal_basis import FILE
from idtone.office.refused.refusal_key import RefusalKey
from idtone.registry.correspondence.signed_document import SignedDocument, sign_document
from idtone.registry.trust import tuf_roles
from lab.cached_folders import fill_from_cache
from lab.office.authority.office import PHRASE, WHY, Office
from lab.office.desk.desk_process import desk_in_thread
from lab.office.refused.samples import DAY_AFTER, DECISION, NOW, REFUSED, SOMEONE, SOON, SPELT
from lab.registry.examples import with_keys

SIGNER, OTHER = Signer("m-0001/pbx-1", b"1" * 32), Signer("m-0002/pbx-1", b"2" * 32)


@dataclass
class Table:
    """The office with its refusals' key and its desk, and a member."""

    office: Office
    member: Path
    rules: dict[str, Any] = field(default_factory=lambda: dict(RULES))

    @property
    def key(self) -> Path:
        return self.office.key("refusals")

    def refuse(self) -> Any:
        words = ("refusal add", "--key", self.key, "--reference", "K-7", "--until", SOON, *WHY)
        return self.office.json(*words, typed=REFUSED)

    def publish(self) -> Any:
        return self.office.json("publication publish", *self.office.duty())

    def use(self, key: Path) -> None:
        self.rules[KIND] = BlindEvaluation(RefusalKey.load(key, lambda _: PHRASE))

    def desk(self) -> DocumentDesk:
        return DocumentDesk(self.office.folder, self.rules)

    def check(self, customer: str) -> tuple[int, Any, str]:
        return self.office.run("customer", "check", "-c", self.member, "--json", typed=customer)

    def refused(self, customer: str = REFUSED) -> str:
        return self.office.error("customer", "check", "-c", self.member, typed=customer)

    def document(self, signer: Signer = SIGNER, member: str = "m-0001", **content: Any) -> bytes:
        listed = RefusalList((self.office.folder / tuf_roles.REFUSALS_FILE).read_bytes())
        check = RefusalCheck(parse_customer(SOMEONE, "someone"), listed)
        return sign_document(KIND, member, check.content() | content, signer, NOW)


def begin(made: Table) -> None:
    office = made.office
    office.registry.write_text(with_keys(office.registry.read_text(), m1=[SIGNER.key]))
    office.json("publication begin", "--keys", office.key("any").parent)
    assert "has not decided" in office.refused("refusal new-key", "--new", made.key, *WHY)
    assert not made.key.exists()
    office.json(*DECISION)
    office.json("refusal new-key", "--new", made.key, *WHY)
    made.refuse()
    assert "refusals.list: a list of refusals by a new key, epoch 1: 3 tokens" in made.publish()["words"]
    replace_private(made.member.with_name("ledger.key.sign"), b"1" * 32)


@pytest.fixture
def table(new_office: Office, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Table:
    """An office with a key and one published refusal, and a member whose key is in the registry."""
    made = Table(new_office, tmp_path / "idtone.yaml")
    fill_from_cache(tmp_path_factory, "refusals", tmp_path, lambda: begin(made))
    OfficeLedger(new_office.folder).settings_file.unlink()  # it has the whole path of the ledger
    made.use(made.key)
    return made


@contextmanager
def running(table: Table) -> Iterator[None]:
    """Context in which the desk runs over HTTP and the member's settings name it."""
    with desk_in_thread(table.desk()) as url:
        beside = table.member.parent
        table.member.write_text(
            f"node: pbx-1\nassociation: {{member: m-0001, desk: '{url}'}}\n"
            f"ledger: {{url: 'sqlite:///{beside}/l.sqlite3', key_file: {beside}/ledger.key, reserve: 0}}\n"
            f"registry: {{source: {table.office.folder}/repository, trust: {table.office.root}, "
            f"cache: {beside}/cache}}\n"
        )
        yield


def test_a_list_that_is_published_does_not_wait_for_it(table):
    assert [*Workspace(table.office.folder).differences()] == []
    table.refuse()
    [words] = Workspace(table.office.folder).differences()
    assert words.startswith("refusals.list: ")


def test_a_refused_customer_is_recognised_until_the_refusal_is_lifted(table):
    with running(table):
        code, found, _ = table.check(SPELT)
        assert (code, found["refused"]) == (1, True)
        assert [(each["reference"], each["until"], each["equal"]) for each in found["refusals"]] == [
            ("X-1", DAY_AFTER, "reading+born")
        ]
        code, none, _ = table.check(SOMEONE)
        assert (code, none["refused"], none["refusals"]) == (0, False, [])
        assert table.office.run("refusal list", "--csv")[1].splitlines()[1].startswith("X-1,")
        table.office.json("refusal lift", "X-1", *WHY)
        assert table.check(REFUSED)[0] == 1
        assert "refusals.list: 0 tokens more, 3 fewer; 0 in all" in table.publish()["words"]
        assert table.check(REFUSED)[0] == 0
    acts = OfficeLedger(table.office.folder).acts()
    assert [act.act for act in acts] == [
        "refusal-basis-decided", "refusals-new-epoch", "customer-refused", KIND, KIND, "refusal-lifted", KIND, KIND
    ]  # fmt: skip
    assert [act.details["today"] for act in acts if act.act == KIND] == [1, 2, 3, 4]
    assert all(act.details["evaluations"] == KEYS_LIMIT for act in acts if act.act == KIND)
    settings = load_settings(table.member, {})
    with LedgerReader.open(settings.ledger.own_url()) as reader:
        own = [step.details for step in reader.acts(frozenset({StepKind.DUTY}))]
    assert [(each["act"], each["refusals"]) for each in own] == [
        ("customer-checked", found) for found in ("X-1", "", "X-1", "")
    ]
    kept = b"".join(path.read_bytes() for path in table.office.folder.rglob("*") if path.is_file())
    assert not [word for word in ("髙橋", "高橋", "タカハシ", "takahasi", "1980-04-01") if word.encode() in kept]


def test_an_ended_refusal_leaves_the_list_and_its_identity_is_deleted(table):
    one = Refusals(table.office.folder)
    assert one.drop_ended(NOW) == []
    [ended] = one.drop_ended(NOW + timedelta(days=32))
    assert (ended.id, one.store.refusals(), one.store.tokens()) == ("X-1", [], [])
    assert "refusals.list: 0 tokens more, 3 fewer; 0 in all" in table.publish()["words"]
    assert OfficeLedger(table.office.folder).acts()[-1].act == "refusal-ended"
    assert table.refuse()["refusal"] == "X-2", "numbers are not used again"


def test_without_the_decision_on_the_legal_basis_nobody_is_added_and_no_key_serves(table):
    (table.office.folder / FILE).unlink()
    with pytest.raises(UsageError, match="has not decided on which legal basis"):
        Refusals(table.office.folder).check_key(RefusalKey.load(table.key, lambda _: PHRASE))
    assert "has not decided" in table.office.refused("refusal new-key", "--key", table.key, *WHY)
    words = ("refusal add", "--key", table.key, "--reference", "K-8", "--until", SOON, *WHY)
    assert "has not decided" in table.office.refused(*words, typed=REFUSED)
    table.office.json("refusal lift", "X-1", *WHY)
    assert table.office.json("refusal list") == [], "an end needs no basis"


def test_a_new_key_and_a_new_table_give_a_new_epoch(table):
    new = table.office.key("refusals-2")
    with running(table):
        table.office.json("refusal new-key", "--key", table.key, "--new", new, *WHY)
        assert "the desk has another key" in table.refused()
        table.use(new)
        table.publish()
    with running(table):
        assert table.check(REFUSED)[0] == 1
        assert "not the key of the refusals" in table.office.refused(
            "refusal add", "--key", table.key, "--reference", "K-8", "--until", SOON, *WHY, typed=SOMEONE
        )
        own = (Path(__file__).parents[3] / "config" / "customer_identity.yaml").read_text()
        (table.office.folder / "customer_identity.yaml").write_text(own.replace("    - [name, address]\n", "", 1))
        assert "customer_identity.yaml has changed" in table.office.refused(
            "refusal add", "--key", new, "--reference", "K-8", "--until", SOON, *WHY, typed=SOMEONE
        )
        assert table.office.json("refusal new-key", "--key", new, *WHY)["epoch"] == 3
        assert "of another epoch than 3" in table.refused()
        assert "refusals.list: another identity table" in table.publish()["words"]
        assert table.check(REFUSED)[0] == 1


REFUSALS = {
    "over": (("--until", "2020-01-01"), REFUSED, "ends after today"),
    "too long": (("--until", "2199-01-01"), REFUSED, "has at most 1825 days"),
    "empty": (("--since", DAY_AFTER, "--until", SOON), REFUSED, "a refusal lasts from --since to --until"),
    "no day": (("--until", "soon"), REFUSED, "--until is not a day"),
    "no key of a customer": (("--until", SOON), "customer: {kind: person, name: X}", "a person is recognised by"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_that_cannot_be_is_not_entered(table, case):
    options, customer, said = REFUSALS[case]
    words = ("refusal add", "--key", table.key, "--reference", "K-8", *WHY)
    assert said in table.office.refused(*words, *options, typed=customer)


def test_a_member_cannot_enumerate(table):
    """The limit counts every check of a member, whatever it asks. It starts again on the next day, and each member has
    its own.
    """
    (table.office.folder / "authority.yaml").write_text("refusals: {checks_of: {m-0001: 3}}\n")
    desk = table.desk()
    for _ in range(3):
        desk.accept(table.document(), NOW)
    with pytest.raises(TrustError, match="m-0001 has made its 3 checks of today"):
        desk.accept(table.document(), NOW)
    desk.accept(table.document(), NOW + timedelta(days=1))
    assert [act.details["today"] for act in desk.ledger.acts() if act.act == KIND] == [1, 2, 3, 1]


GOOD = base64.b64encode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")).decode()
IDENTITY, LOW = base64.b64encode(bytes(32)).decode(), base64.b64encode(bytes([1]) + bytes(31)).decode()
ATTACKS = {
    "the identity": ({"blinded": [GOOD] * 11 + [IDENTITY]}, "not an element"),
    "a point of low order of the curve": ({"blinded": [GOOD] * 11 + [LOW]}, "not an element"),
    "one element more": ({"blinded": [GOOD] * 13}, "exactly 12 elements"),
    "one element": ({"blinded": [GOOD]}, "exactly 12 elements"),
    "a short element": ({"blinded": [GOOD] * 11 + [GOOD[:40]]}, "not an element"),
    "no base64": ({"blinded": [GOOD] * 11 + ["*"]}, "not base64"),
    "a number": ({"blinded": [GOOD] * 11 + [1]}, "not base64"),
    "a text": ({"blinded": GOOD}, "exactly 12 elements"),
    "nothing": ({"blinded": None}, "exactly 12 elements"),
    "another epoch": ({"epoch": 2}, "of another epoch than 1"),
    "another member": ({"signer": SIGNER, "member": "m-0002"}, "not signed by a key that the registry names"),
    "a key that the registry does not name": ({"signer": OTHER}, "not signed by a key that the registry names"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_on_the_desk_gets_no_evaluation(table, attack):
    change, said = ATTACKS[attack]
    desk = table.desk()
    with pytest.raises(TrustError, match=said):
        desk.accept(table.document(**change), NOW)
    assert not [act for act in desk.ledger.acts() if act.act == KIND]


def test_a_desk_without_the_key_says_so(table):
    table.rules = dict(RULES)
    with running(table):
        assert "the desk runs without the key of the refusals" in table.refused()


def forging(desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
    """Evaluate a check with a forged key, as a desk that wants to recognise the customer later."""
    pair = VOPRF.derive_key_pair(b"f" * 32, b"")
    blinded = elements_of(document.content["blinded"])
    evaluated = VOPRF.evaluate(pair.secret, blinded)
    answer = {
        "evaluated": [base64.b64encode(each).decode() for each in evaluated],
        "proof": base64.b64encode(VOPRF.prove(pair, blinded, evaluated)).decode(),
    }
    return Accepted("forged", answer)


def test_a_desk_with_another_key_is_not_believed(table):
    table.rules[KIND] = forging
    with running(table):
        assert "the evaluation is not by the association's key" in table.refused()


def test_a_forged_list_is_not_taken(table):
    """Three cases: an emptied list, a changed list in the cache, and a deleted list."""
    repository = table.office.folder / "repository" / "targets"
    [published] = repository.glob("*.refusals.list")
    good = published.read_bytes()
    count = len(RefusalList(good)) * 24
    with running(table):
        published.write_bytes(good[:-count].replace(b'"count":3', b'"count":0'))
        assert "is not what the association signed" in table.refused()
        published.write_bytes(good)
        assert table.check(REFUSED)[0] == 1
        [kept] = (table.member.parent / "cache" / "refusals" / "targets").glob("*.refusals.list")
        kept.write_bytes(good[:-count].replace(b'"count":3', b'"count":0'))
        assert table.check(REFUSED)[0] == 1, "the copy is fetched again"
        (table.office.folder / tuf_roles.REFUSALS_FILE).unlink()
        table.publish()
        assert table.check(REFUSED)[0] == 1, "the list follows from the refusals"


def test_without_a_list_a_customer_is_not_called_unrefused(office, tmp_path):
    settings = tmp_path / "idtone.yaml"
    source = f"registry: {{source: {office.folder}/repository, trust: {office.root}, cache: {tmp_path}/cache}}\n"
    replace_private(tmp_path / "ledger.key.sign", b"1" * 32)
    settings.write_text(
        f"association: {{member: m-0001, desk: 'http://127.0.0.1:9'}}\n"
        f"ledger: {{key_file: {tmp_path}/ledger.key}}\n{source}"
    )
    check = ("customer", "check", "-c", settings)
    assert "publishes no list of refusals" in office.error(*check, typed=REFUSED)
    settings.write_text(settings.read_text().replace(source, "registry: {source: /x.yaml, trust: unsigned}\n"))
    assert "the registry is unsigned here" in office.error(*check, typed=REFUSED)
