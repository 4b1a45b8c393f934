"""Signing one after another by holders who do not meet: each has a key and a copy of the package."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tuf.api.metadata import Metadata, TargetFile

from lab.office.authority.office import STOP, TWICE, WHY, Office
from lab.registry.trust.association import STOPPED

SETS = {"root": 3, "registry": 3, "duty": 4}
NEXT = ("duty-5", "duty-6", "duty-7", "duty-8")


@pytest.fixture
def package(office: Office, tmp_path: Path) -> Path:
    """A package with a revocation that waits for its signatures."""
    office.json("licence revoke", "L-0001", *WHY)
    told = office.json("publication prepare", "--package", tmp_path / "package")
    assert told["words"][0].startswith("registry.yaml: version 43, was 42; issued ")
    assert told["words"][1] == "member m-0001: licence L-0001: the status is revoked, was active"
    assert told["words"][2].startswith("history of registry: 2 lines, SHA-256 ")
    assert [line.partition(",")[0] for line in told["words"][3:]] == [
        "registry: version 2",
        "snapshot: version 2",
        "timestamp: version 2",
    ]
    assert len(told["missing"]) == 3
    return tmp_path / "package"


def signs(office: Office, package: Path, *names: str, typed: str = "") -> tuple[int, str, str]:
    """Sign a package as a holder. The holder keeps the first root, if there is one. Returns exit code, output and
    errors.
    """
    anchor = ("--trust", office.root) if office.root.exists() else ("--first",)
    return office.run(
        "publication sign", package, *office.keys(*names), *anchor, *(() if typed else ("--yes",)), typed=typed
    )


def sign(office: Office, package: Path, *names: str) -> None:
    code, _, error = signs(office, package, *names)
    assert code == 0, error


def edited(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_holders_who_make_their_own_keys_begin_together(new_office, tmp_path):
    office, package = new_office, tmp_path / "package"
    names = [f"{kind}-{number}" for kind, count in SETS.items() for number in range(1, count + 1)]
    given = office.new_keys(*names)
    words = office.json("publication begin", *given, "--package", package)["words"]
    assert "member m-0001 is new: 良い電話株式会社" in "\n".join(words)
    assert "\n".join(words).count("signs with 2 of") == 3
    assert len([line for line in words if len(line) == 66 and line.startswith("  ")]) == len(names)
    anothers = ("publication sign", package, *office.keys("root-1"), "--trust", given[1][5:], "--yes")
    assert "say --first" in office.error(*anothers)
    assert not (office.folder / "repository").exists()
    for number, holders in enumerate([("root-1", "registry-1"), ("root-3", "duty-2"), ("duty-1", "registry-2")]):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(package, copy)
        sign(office, copy, *holders)
    code, out, _ = office.run("publication assemble", package, tmp_path / "copy-0", tmp_path / "copy-1")
    assert code == 1
    assert "suspensions needs the signatures of 2 of its 4 duty keys, and has 1" in out
    assert "needs the signatures" in office.refused("publication publish", "--package", package)
    zipped = shutil.make_archive(str(tmp_path / "copy-2"), "zip", tmp_path, "copy-2")
    assert office.run("publication assemble", package, zipped) == (0, "all signatures are there\n", "")
    told = office.json("publication publish", "--package", package)
    assert told["signed"] == ["root", "targets", "registry", "suspensions", "never-originates", "snapshot", "timestamp"]
    assert all(entry["signed"]["version"] == 1 for entry in office.json("history show"))
    assert "there is a repository already" in office.refused("publication publish", "--package", package)


def test_each_holder_sees_what_the_signature_covers(office, package):
    code, out, _ = signs(office, package, "registry-1", typed="y\n")
    assert (code, "signed with" in out) == (0, True)
    assert "\nmember m-0001: licence L-0001: the status is revoked, was active\n" in out
    assert "nothing was signed" in signs(office, package, "registry-2", typed="n\n")[2]
    assert "takes the signature of this key" in signs(office, package, "root-1")[2]


def test_a_holder_sees_whole_numbers_and_their_area_at_the_moment_of_signing(office, tmp_path):
    """Complete blocks all end in …0000 and …9999, so their last digits do not distinguish Tokyo from Osaka."""
    for block, national, area in (
        ("0662340000-0662349999", "06-6234", "06"),
        ("0333330000-0333339999", "03-3333", "03"),
    ):
        office.json("number assign", "m-0002", *WHY, typed=f"{block}\n")
        package = tmp_path / area
        assert national not in "".join(office.json("publication prepare", "--package", package)["words"]), (
            "the office does not sign"
        )
        code, out, _ = signs(office, package, "registry-1", typed="y\n")
        assert code == 0
        assert f"member m-0002: assigned: {national}-0000 to {national}-9999 (10,000 numbers)" in out
        assert f"numbers assigned, by area code: {area}: 10,000 numbers\n" in out
        _, _, shown = office.run("publication publish", *office.all_keys())
        assert f"{national}-0000 to {national}-9999" in shown, "who publishes signs, too"
        listed = office.json("member numbers", "m-0002")
        assert {"entry": block, "area": area, "count": 10_000} in listed["numbers"]
        office.json("number release", "m-0002", *WHY, typed=f"{block}\n")
        office.json("publication publish", *office.all_keys())
    office.json("suspension range", *STOP, typed="0312345000-0312345999\n" * 2)
    code, _, shown = office.run("publication publish", *office.duty())
    assert (code, "03-1234-5000 to 03-1234-5999 (1,000 numbers): is suspended" in shown) == (0, True)
    assert "numbers suspended, by area code: 03: 1,000 numbers" in shown
    for history in (office.folder / "history").glob("*.jsonl"):
        assert "33330000" not in re.sub("[^0-9a-z]", "", history.read_text())


def test_the_duty_officers_publish_while_a_package_waits(office, package):
    sign(office, package, "registry-1", "registry-2")
    sign(office, package, "duty-1", "duty-2")
    office.json("suspension number", *STOP, typed=TWICE)
    assert office.json("publication publish", *office.duty())["signed"] == [
        "suspensions",
        "snapshot",
        "timestamp",
    ]
    assert "snapshot needs the signatures" in office.refused("publication publish", "--package", package)
    code, told, shown = office.run("publication publish", "--package", package, *office.duty(), "--json")
    assert (code, told["signed"]) == (0, ["registry", "snapshot", "timestamp"])
    revoked = "member m-0001: licence L-0001: the status is revoked, was active"
    assert revoked in shown.splitlines(), "the duty officers see it before their passphrases"
    versions = {name: role["version"] for name, role in told["roles"].items()}
    assert versions == {
        "root": 1, "targets": 1, "registry": 2, "suspensions": 2, "never-originates": 1, "snapshot": 3, "timestamp": 3,
    }  # fmt: skip
    snapshot = json.loads((office.folder / "repository" / "metadata" / "3.snapshot.json").read_text())
    assert {name: meta["version"] for name, meta in snapshot["signed"]["meta"].items()} == {
        "targets.json": 1,
        "registry.json": 2,
        "suspensions.json": 2,
        "never-originates.json": 1,
    }
    again = office.json("publication publish", "--package", package, *office.duty())
    assert again["roles"]["registry"]["version"] == 2, "it was published already"
    office.json("number assign", "m-0002", *WHY, typed="0362345678\n")
    office.json("publication publish", *office.all_keys())
    error = office.refused("publication publish", "--package", package, *office.duty())
    assert "registry was published in the meantime; prepare the package again" in error


def test_a_rotation_goes_from_holder_to_holder(office, tmp_path):
    package = tmp_path / "package"
    told = office.json("key rotate", *office.new_keys(*NEXT), *WHY, "--package", package)
    given = office.new_keys("duty-9")
    assert "has a key twice" in office.refused("key rotate", *given * 4, *WHY, "--package", tmp_path / "twice")
    signed = office.json("key rotate", *office.new_keys("duty-10", "duty-11", "duty-12", "duty-13"), *WHY, "--package",
        tmp_path / "signed", *office.keys("root-1", "root-2", "duty-10", "duty-11"))  # fmt: skip
    assert (bool(told["missing"]), signed["missing"]) == (True, []), "--key signs the package"
    at = told["words"].index("the set duty signs with 2 of 4 keys:")
    assert [len(line.strip()) for line in told["words"][at + 1 : at + 5]] == [64] * 4
    for name in ("root-1", "root-2", "duty-5", "duty-8"):
        sign(office, package, name)
    told = office.json("publication publish", "--package", package)
    assert set(told["signed"]) == {"root", "targets", "suspensions", "never-originates", "snapshot", "timestamp"}
    assert "of its 4 duty keys, and has 0" in office.refused("publication publish", *office.duty())
    office.json("publication publish", *office.keys("duty-6", "duty-7"))


def test_the_history_names_a_rotation_only_once_it_is_signed(office, tmp_path):
    def rotations() -> list[Any]:
        return [entry for entry in office.json("history show") if entry["action"] == "rotate"]

    new = office.new_keys("registry-4", "registry-5", "registry-6")
    too_few = office.keys("root-1", "registry-1")
    assert "needs the signatures" in office.refused("key rotate", *new, *WHY, *too_few)
    office.json("key rotate", *new, *WHY, "--package", tmp_path / "package")
    assert rotations() == []
    office.json("number assign", "m-0002", *WHY, typed="0362345678\n")
    office.json("publication publish", *office.all_keys())
    assert rotations() == [], "other changes of the registry are signed meanwhile; that package never is"
    office.json("key rotate", *new, *WHY, "--package", tmp_path / "again")
    others = office.new_keys("registry-7", "registry-8", "registry-9")
    assert "exists already" in office.refused("key rotate", *others, *WHY, "--package", tmp_path / "again")
    office.json("key rotate", *others, *WHY, "--package", tmp_path / "another")
    for name in ("root-1", "root-2", "registry-4", "registry-5", "duty-1", "duty-2"):
        sign(office, tmp_path / "again", name)
    office.json("publication publish", "--package", tmp_path / "again")
    [line] = rotations()
    assert (line["signed"], len(line["what"])) == (None, 6), "in force; the next edition of the registry signs its line"
    office.json("number release", "m-0002", *WHY, typed="0362345678\n")
    office.json("publication publish", *office.keys("registry-4", "registry-5", "duty-1", "duty-2"))
    assert office.key_id("registry-4") in rotations()[0]["signed"]["keys"]


def test_two_sets_get_new_keys_at_once(office, tmp_path):
    new = tmp_path / "new-keys"
    given = office.keys("root-1", "root-2", "duty-1", "duty-2")
    assert "needs the signatures" in office.refused("key rotate", "root", "--keys", new, *WHY, *given[:2])
    assert [*new.iterdir()] == [], "the command can be repeated"
    told = office.json("key rotate", "root", "registry", "--keys", new, *WHY, *given)
    assert {"root", "targets", "registry"} <= set(told["signed"])
    lines = [entry for entry in office.json("history show") if entry["action"] == "rotate"]
    assert [(line["subject"], line["signed"] is not None) for line in lines] == [("root", True), ("registry", True)]
    again = [word for number in (1, 2, 3) for word in ("--public", f"root={new}/root-{number}.pub")]
    for words, fault in (
        (again, "the set root has these keys already"),
        (["root", *again], "name a SET with --keys alone"),
        (["--keys", tmp_path / "none"], "name each SET to replace: root, registry, duty"),
        (["root"], "either make the keys here with --keys"),
        (again[:2], "the set root has 3 keys, not 1"),
    ):
        assert fault in office.refused("key rotate", *words, *WHY), words
    assert not (tmp_path / "none").exists()


def another_list_of_operators(after: Path) -> None:
    """Replace the list of operators in a package, as a dishonest author could."""
    listed, path = after / "targets" / "operators.json", after / "metadata" / "registry.json"
    listed.write_text(listed.read_text().replace("[]", '[{"member": "m-9"}]'))
    draft = Metadata.from_file(str(path))
    draft.signed.targets["operators.json"] = TargetFile.from_file("operators.json", str(listed), ["sha256"])
    draft.to_file(str(path))


def test_a_package_that_was_changed_on_its_way_is_not_signed(office, package, tmp_path):
    registry = (package / "after/targets/registry.yaml").read_text()
    for name, spoil in {
        "a file": lambda after: (after / "targets/registry.yaml").write_text(registry.replace("revoked", "active")),
        "a list": lambda after: (after / "targets/operators.json").write_text("{}"),
        "a signed list": another_list_of_operators,
        "more": lambda after: (after / "targets/more.txt").write_text("x"),
        "less": lambda after: (after / "targets/registry.yaml").unlink(),
        "metadata": lambda after: (after / "metadata/registry.json").write_text("{"),
    }.items():
        copy = tmp_path / name
        shutil.copytree(package, copy)
        spoil(copy / "after")
        code, _, error = signs(office, copy, "registry-1")
        assert code == 2, name
        assert "do not sign this package" in error or "ask for the package again" in error, name


def test_copies_of_two_editions_are_not_assembled(office, package, tmp_path):
    office.json("number assign", "m-0002", *WHY, typed="0362345678\n")
    office.json("publication prepare", "--package", tmp_path / "other")
    office.suspensions.write_text(STOPPED)
    office.json("publication prepare", "--package", tmp_path / "third", *WHY)
    for other, fault in (("other", "differs from the first folder's"), ("third", "is not a copy of the same edition")):
        assert fault in office.error("publication assemble", package, tmp_path / other)
    assert "exists already" in office.refused("publication prepare", "--package", package)
    code, _, error = signs(office, tmp_path, "duty-1")
    assert (code, "is not a package" in error) == (2, True)


def test_a_forged_signature_does_not_count(office, package):
    """The copy has a signature of another text under the id of one of the set's keys."""
    sign(office, package, "registry-1", "duty-1", "duty-2")
    targets = json.loads((package / "before" / "metadata" / "targets.json").read_text())["signed"]
    (keyids,) = [role["keyids"] for role in targets["delegations"]["roles"] if role["name"] == "registry"]

    def forge(draft: Any) -> None:
        (first,) = draft["signatures"]
        other = next(keyid for keyid in keyids if keyid != first["keyid"])
        draft["signatures"].append({"keyid": other, "sig": first["sig"]})

    edited(package / "after" / "metadata" / "registry.json", forge)
    error = office.refused("publication publish", "--package", package)
    assert "registry needs the signatures of 2 of its 3 registry keys, and has 1" in error


def test_a_good_signature_replaces_a_broken_one(office, package, tmp_path):
    copy = tmp_path / "copy"
    sign(office, package, "registry-1", "registry-2", "duty-1", "duty-2")
    shutil.copytree(package, copy)
    for name in ("registry", "timestamp"):
        edited(
            package / "after" / "metadata" / f"{name}.json",
            lambda document: [each.update(sig=each["sig"][::-1]) for each in document["signatures"]],
        )
    assert office.run("publication assemble", package, copy) == (0, "all signatures are there\n", "")
    office.json("publication publish", "--package", package)


def test_init_names_wrong_options(new_office, tmp_path):
    new_office.run("key new", tmp_path / "one.pem")
    (tmp_path / "no.pub").write_text("nothing")
    one, package = ["--public", f"root={tmp_path / 'one.pub'}"], ("--package", tmp_path / "package")
    for arguments, fault in (
        ([], "either make the keys here with --keys"),
        (one, "name the --package for the holders, or each --key that signs now"),
        (["--public", "root", *package], "is not SET=FILE"),
        (["--public", "night=x.pub", *package], "the sets are root, registry, duty"),
        (["--public", "root=missing.pub", *package], "cannot be read"),
        ([*one, *package], "the set root has 3 keys, not 1"),
        ([*one * 3, *package], "the set root has a key twice"),
        (["--public", f"root={tmp_path / 'no.pub'}", *package], "is not a public key"),
    ):
        assert fault in new_office.refused("publication begin", *arguments)


def test_the_public_half_goes_into_a_new_file(new_office, tmp_path):
    _, told, _ = new_office.run("key new", tmp_path / "m.yamada", "--json")
    assert told["public"] == str(tmp_path / "m.yamada.pub")
    _, told, _ = new_office.run("key new", tmp_path / "a.pem", "--public", tmp_path / "b.pub", "--json")
    assert told["public"] == str(tmp_path / "b.pub")
    before = (tmp_path / "b.pub").read_bytes()
    assert "cannot be written here: File exists" in new_office.error("key new", tmp_path / "b.pem")
    assert (tmp_path / "b.pub").read_bytes() == before
    assert "is a name for a public half" in new_office.error("key new", tmp_path / "c.pub")


def test_no_private_key_is_made_where_a_package_lies(office, package, tmp_path, tmp_path_factory, monkeypatch):
    for place in (package, package / "after", tmp_path):
        assert "no place for a private key" in office.error("key new", place / "new.pem")
        assert "no place for a private key" in office.refused("key rotate", "duty", "--keys", place, *WHY)
    code, _, error = office.run("key new", tmp_path / "stick" / "new.pem")
    assert (code, "lies beside the package" in error) == (0, True)
    home = tmp_path_factory.mktemp("home") / "idtone-keys" / "new.pem"
    assert office.run("key new", home)[::2] == (0, "")
    assert (home.parent.stat().st_mode & 0o777, home.stat().st_mode & 0o777) == (0o700, 0o600)
    signed = ("publication sign", package, "--trust", office.root, "--yes", "--key")
    assert "lies beside the package" in office.run(*signed, office.key("duty-1"))[2]
    shutil.copy(office.key("duty-2"), home.parent)
    assert office.run(*signed, home.with_name("duty-2.pem"))[::2] == (0, "")
    monkeypatch.setattr("idtone.core.signing_keys._is_open_to_others", lambda _: True)  # as on a stick with FAT
    assert "keeps no permissions" in office.error("key new", home.with_name("open.pem"))
    assert not home.with_name("open.pem").exists()


def test_a_package_that_waited_too_long_is_prepared_again(office, package, monkeypatch):
    sign(office, package, "registry-1", "registry-2", "duty-1", "duty-2")
    later = datetime.now(UTC) + timedelta(days=8)
    monkeypatch.setattr("idtone.office.commands.publication.datetime", SimpleNamespace(now=lambda _: later))
    assert "snapshot needs the signatures" in office.refused("publication publish", "--package", package)
    office.json("publication publish", "--package", package, *office.duty())
