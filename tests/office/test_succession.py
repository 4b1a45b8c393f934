"""The office changes hands: the test runs the commands of three documentation pages, and checks members' nodes."""

import shutil
from pathlib import Path

import pytest

from idtone.office.desk.office_ledger import OfficeLedger
from lab.office.authority.office import PHRASE, WHY, Office
from lab.office.two_computers import TwoComputers

pytestmark = pytest.mark.nightly
LEAVES, LOST, MOVES, FIRST = (f"office-{name}.md" for name in ("holder-leaves", "lost-key", "moves", "first-day"))
ANOTHER = "five slow barges upon the canal"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoComputers:
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    return TwoComputers.founded(tmp_path / "root", Office(tmp_path / "unused", monkeypatch))


def published(here: TwoComputers, *keys: str) -> list[str]:
    told: list[str] = here.office.json("publication publish", *here.keys(*keys))["signed"]
    return told


def refused(here: TwoComputers, *keys: str) -> bool:
    return "needs the signatures" in here.office.error("publication publish", *here.keys(*keys))


def test_a_holder_leaves_and_the_successor_signs(here, tmp_path):
    member = tmp_path / "member"
    assert here.as_member(member)[0] == 0
    successor = tmp_path / "successor"
    successor.mkdir()
    here.type(LEAVES, "successor-keys", home=successor)
    said = here.type(LEAVES, "successor-prepare")
    here.type(LEAVES, "successor-sign")
    read = here.type(LEAVES, "successor-sign-new", home=successor)
    assert said.split()[-2] == read.split()[0], "the SHA-256 of the root"
    assert len([*(successor / "idtone-keys").glob("*root.json")]) == 1
    here.type(LEAVES, "successor-publish", "successor-rest")
    assert [*here.stick.iterdir()] == [here.stick / "public"]
    shutil.copy(successor / "idtone-keys/duty-5.pem", here.own)
    assert "the set root signs with 2 of 3 keys" in said
    assert "the set duty signs with 2 of 4 keys" in said
    rotations = [each for each in here.office.json("history show") if each["action"] == "rotate"]
    assert {each["subject"] for each in rotations} == {"root", "duty"}
    assert sorted(len([words for words in each["what"] if words.startswith("new key")]) for each in rotations) == [1, 1]
    assert refused(here, "duty-1", "duty-2"), "the old key does not count"
    published(here, "duty-5", "duty-3")
    code, told, error = here.as_member(member)
    assert (code, told["trust"]) == (0, "signed"), error
    assert [*(here.office.folder / "night-keys").iterdir()] == []
    users = (here.home / "console-users.yaml").read_text("utf-8")
    assert ("sato" in users, "suzuki" in users) == (False, True)
    assert "has these keys already" in here.office.refused(
        "key rotate", *WHY, *(word for n in (1, 2, 4) for word in ("--public", f"root={here.home}/root-{n}.pub"))
    )


def test_keys_are_lost_and_replaced(here, tmp_path):
    member = tmp_path / "member"
    here.as_member(member)
    here.type(LOST, "lost-one-key", "lost-one-prepare", "lost-one-sign", "lost-publish")
    here.office.json("publication prolong", "--until", "2030-01-01", *WHY)
    assert refused(here, "registry-1", "registry-2", "duty-1", "duty-2")
    assert "registry" in published(here, "registry-4", "registry-3", "duty-1", "duty-2")
    here.type(LOST, "lost-root-key", "lost-root-prepare", "lost-root-sign", "lost-publish")
    here.type(LOST, "lost-set-keys", "lost-set-prepare", "lost-set-sign", "lost-publish")
    assert refused(here, "duty-1", "duty-2")
    shutil.copy(here.key("duty-5"), here.officer)
    here.type(LOST, "night-keys")
    assert len([*(here.office.folder / "night-keys").iterdir()]) == 1
    published(here, "duty-7", "duty-8")
    code, told, error = here.as_member(member)
    assert (code, told["trust"]) == (0, "signed"), error
    here.type(LOST, "keys-read", typed=f"{PHRASE}\n")
    before = here.key("registry-1").read_bytes()
    with pytest.raises(AssertionError):
        here.type(LOST, "keys-passphrase", typed=f"{PHRASE}\n{ANOTHER}\n{ANOTHER[::-1]}\n")
    assert here.key("registry-1").read_bytes() == before, "a passphrase that was mistyped costs no key"
    typed = f"{PHRASE}\n{ANOTHER}\n{ANOTHER}\n"  # the first OpenSSL reads a whole block, and leaves the next one
    here.type(LOST, "keys-passphrase", typed=f"{typed:\n<4096}{ANOTHER}\n")
    here.type(LOST, "keys-read", typed=f"{ANOTHER}\n")
    assert here.key("registry-1").stat().st_mode & 0o777 == 0o600
    here.key("registry-1").write_bytes(here.key("registry-3").read_bytes())
    with pytest.raises(AssertionError, match="differ"):
        here.type(LOST, "keys-read", typed=f"{PHRASE}\n")


def test_the_association_begins_again_without_its_root(here, tmp_path):
    member = tmp_path / "member"
    here.as_member(member)
    new = {"idtone-keys": "idtone-new-keys", "stick/public": "stick/new-public"}
    here.type(FIRST, "keys", **new)
    here.type(LOST, "again-prepare")
    here.type(FIRST, "sign", **new)
    here.type(FIRST, "publish")
    assert here.as_member(member)[0] != 0, "the old root does not vouch for the new one"
    shutil.rmtree(member / "cache")
    code, told, error = here.as_member(member, here.office.root)
    assert (code, told["trust"]) == (0, "signed"), error
    assert (here.office.folder / "repository-before/metadata/1.root.json").exists()


def test_the_office_moves(here, tmp_path):
    member, old = tmp_path / "member", tmp_path / "old"
    here.as_member(member)
    enter = ("duty enter", "other", "--due", "2030-01-01", "--what")
    here.office.json(*enter, "before")
    said = here.type(MOVES, "pack")
    stick = tmp_path / "stick"
    here.stick.rename(stick)
    here.root.rename(old)
    (here.root / "media").mkdir(parents=True)
    stick.rename(here.stick)
    assert here.type(MOVES, "unpack").split()[0] == said.split()[-2], "the SHA-256"
    said = here.type(MOVES, "verify")
    assert "edit" in said, "the history"
    here.type(MOVES, "ledger")
    here.office.json(*enter, "after")
    subjects = [act.subject for act in OfficeLedger(here.office.folder).acts()]
    assert [each for each in subjects if each.startswith("D-")] == ["D-0001", "D-0002"], "both ledgers"
    here.type(MOVES, "verify")
    here.type(MOVES, "start")
    assert here.units.read_text().splitlines()[-2:] == [
        "systemctl enable --now idtone-office.target",
        "systemctl restart nginx",
    ]
    published(here, "duty-1", "duty-2")
    code, told, error = here.as_member(member)
    assert (code, told["trust"]) == (0, "signed"), error
    assert here.office.json("history show") != []
    assert [*(old / "var/lib/idtone-office/office/night-keys").iterdir()] != []
    assert [*(here.office.folder / "night-keys").iterdir()] == [], "each officer hands a key in again"
    modes = {path.relative_to(here.home): path.stat().st_mode for path in (here.home / "office").rglob("*")}
    before = {
        path.relative_to(old / "var/lib/idtone-office"): path.stat().st_mode
        for path in (old / "var/lib/idtone-office/office").rglob("*")
        if path.parent.name != "night-keys"
    }
    assert [name for name, mode in before.items() if modes[name] != mode] == []
    here.type(MOVES, "leave")
    assert not here.home.exists()
    assert not (here.stick / "office.tar.gz").exists()
