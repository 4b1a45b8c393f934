"""Signing in steps, by holders who do not meet: each has a key, and a copy of what is to be signed."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from ..registry.trust.association import STOPPED
from .office import WHY, Office

SETS = {"root": 3, "registry": 3, "duty": 2}


@pytest.fixture
def package(office: Office, tmp_path: Path) -> Path:
    """A revocation that waits for its signatures."""
    office.told("revoke", "L-0001", *WHY)
    told = office.told("prepare", "--package", tmp_path / "package")
    assert told["words"][0].startswith("registry.yaml: version 43, was 42; issued ")
    assert told["words"][1] == "member m-0001: licence L-0001: the status is revoked, was active"
    assert told["words"][2].startswith("history of registry: 2 lines, SHA-256 ")
    assert [line.partition(",")[0] for line in told["words"][3:]] == [
        "registry: version 2", "snapshot: version 2", "timestamp: version 2"
    ]  # fmt: skip
    assert len(told["missing"]) == 3
    return tmp_path / "package"


def anchor(office: Office) -> tuple[object, ...]:
    """What a holder keeps: the first root, if there is one."""
    root = office.folder / "repository" / "metadata" / "1.root.json"
    return ("--trust", root) if root.exists() else ("--first",)


def sign(office: Office, package: Path, *names: str) -> dict[str, list[str]]:
    code, told, error = office.run("sign", package, *office.keys(*names), *anchor(office), "--yes", "--json")
    assert code == 0, error
    return dict(told)


def test_holders_who_make_their_own_keys_begin_together(new_office, tmp_path):
    office, given = new_office, []
    office.key("any").parent.mkdir()
    for kind, count in SETS.items():
        for number in range(1, count + 1):
            key = office.key(f"{kind}-{number}")
            code, told, error = office.run("key", key, "--json")
            assert code == 0, error
            given += ["--public", f"{kind}={told['public']}"]
    package = tmp_path / "package"
    office.told("init", *given, "--package", package)
    assert not (office.folder / "repository").exists()
    for number, names in enumerate([("root-1", "registry-1"), ("root-3", "duty-2"), ("duty-1", "registry-2")]):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(package, copy)
        sign(office, copy, *names)
    code, out, _ = office.run("assemble", package, tmp_path / "copy-0", tmp_path / "copy-1")
    assert code == 1
    assert "suspensions needs the signatures of 2 of its 2 duty keys, and has 1" in out
    assert "needs the signatures" in office.refused("publish", "--package", package)
    assert office.run("assemble", package, tmp_path / "copy-2") == (0, "all signatures are there\n", "")
    told = office.told("publish", "--package", package)
    assert told["signed"] == ["root", "targets", "registry", "suspensions", "snapshot", "timestamp"]
    assert all(entry["signed"]["version"] == 1 for entry in office.told("history"))
    assert "there is a repository already" in office.refused("publish", "--package", package)


def test_each_holder_sees_what_the_signature_covers(office, package):
    code, out, _ = office.run("sign", package, *office.keys("registry-1"), *anchor(office), typed="y\n")
    assert code == 0
    assert "\nmember m-0001: licence L-0001: the status is revoked, was active\n" in out
    assert "signed with" in out
    code, _, error = office.run("sign", package, *office.keys("registry-2"), *anchor(office), typed="n\n")
    assert (code, "nothing was signed" in error) == (2, True)
    code, _, error = office.run("sign", package, *office.keys("root-1"), *anchor(office), "--yes")
    assert (code, "takes the signature of this key" in error) == (2, True)


def test_the_duty_officers_publish_while_a_package_waits(office, package):
    sign(office, package, "registry-1", "registry-2")
    sign(office, package, "duty-1", "duty-2")
    stop = ("--reference", "R-7", "--requested", "2026-11-02T01:10:00+09:00", *WHY)
    office.told("suspend-number", *stop, typed="0312345677\n0312345677\n")
    assert office.told("publish", *office.duty())["signed"] == ["suspensions", "snapshot", "timestamp"]
    assert "snapshot needs the signatures" in office.refused("publish", "--package", package)
    code, told, shown = office.run("publish", office.folder, "--package", package, *office.duty(), "--json")
    assert (code, told["signed"]) == (0, ["registry", "snapshot", "timestamp"])
    revoked = "member m-0001: licence L-0001: the status is revoked, was active"
    assert revoked in shown.splitlines(), "the duty officers see it before their passphrases"
    versions = {name: role["version"] for name, role in told["roles"].items()}
    assert versions == {"root": 1, "targets": 1, "registry": 2, "suspensions": 2, "snapshot": 3, "timestamp": 3}
    snapshot = json.loads((office.folder / "repository" / "metadata" / "3.snapshot.json").read_text())
    assert {name: meta["version"] for name, meta in snapshot["signed"]["meta"].items()} == {
        "targets.json": 1, "registry.json": 2, "suspensions.json": 2
    }  # fmt: skip
    again = office.told("publish", "--package", package, *office.duty())
    assert again["roles"]["registry"]["version"] == 2, "it was published already"
    office.told("assign-number", "m-0002", *WHY, typed="0362345678\n")
    office.told("publish", *office.all_keys())
    error = office.refused("publish", "--package", package, *office.duty())
    assert "registry was published in the meantime; prepare the package again" in error


def test_a_rotation_goes_from_holder_to_holder(office, tmp_path):
    package, new = tmp_path / "package", []
    for number in (3, 4):
        _, told, _ = office.run("key", office.key(f"duty-{number}"), "--json")
        new += ["--new", told["public"]]
    told = office.told("rotate", "duty", *new, *WHY, "--package", package)
    at = told["words"].index("the set duty signs with 2 of 2 keys:")
    assert [len(line.strip()) for line in told["words"][at + 1 : at + 3]] == [64, 64]
    for name in ("root-1", "root-2", "duty-3", "duty-4"):
        sign(office, package, name)
    told = office.told("publish", "--package", package)
    assert set(told["signed"]) == {"root", "targets", "suspensions", "snapshot", "timestamp"}
    office.told("publish", *office.keys("duty-3", "duty-4"))


def spoil_file(package: Path) -> None:
    path = package / "after" / "targets" / "registry.yaml"
    path.write_text(path.read_text().replace("revoked", "active"))


def spoil_list(package: Path) -> None:
    (package / "after" / "targets" / "operators.json").write_text("{}")


def more(package: Path) -> None:
    (package / "after" / "targets" / "more.txt").write_text("x")


def less(package: Path) -> None:
    (package / "after" / "targets" / "registry.yaml").unlink()


def spoil_metadata(package: Path) -> None:
    (package / "after" / "metadata" / "registry.json").write_text("{")


@pytest.mark.parametrize("spoil", [spoil_file, spoil_list, more, less, spoil_metadata])
def test_a_package_that_was_changed_on_its_way_is_not_signed(office, package, spoil):
    spoil(package)
    code, _, error = office.run("sign", package, *office.keys("registry-1"), *anchor(office), "--yes")
    assert code == 2
    assert "do not sign this package" in error or "ask for the package again" in error


def test_a_wrong_list_of_operators_is_not_signed(office, package):
    """The author of a package could put another list into it."""
    listed = package / "after" / "targets" / "operators.json"
    listed.write_text(listed.read_text().replace("[]", '[{"member": "m-9"}]'))
    from tuf.api.metadata import Metadata, TargetFile

    path = package / "after" / "metadata" / "registry.json"
    draft = Metadata.from_file(str(path))
    draft.signed.targets["operators.json"] = TargetFile.from_file("operators.json", str(listed), ["sha256"])
    draft.to_file(str(path))
    code, _, error = office.run("sign", package, *office.keys("registry-1"), *anchor(office), "--yes")
    assert (code, "do not sign this package" in error) == (2, True)


def test_copies_of_two_editions_are_not_assembled(office, package, tmp_path):
    office.told("assign-number", "m-0002", *WHY, typed="0362345678\n")
    office.told("prepare", "--package", tmp_path / "other")
    code, _, error = office.run("assemble", package, tmp_path / "other")
    assert (code, "differs from the first folder's" in error) == (2, True)
    office.suspensions.write_text(STOPPED)
    office.told("prepare", "--package", tmp_path / "third", *WHY)
    code, _, error = office.run("assemble", package, tmp_path / "third")
    assert (code, "is not a copy of the same edition" in error) == (2, True)
    assert "exists already" in office.refused("prepare", "--package", package)
    code, _, error = office.run("sign", tmp_path, *office.keys("duty-1"), *anchor(office))
    assert (code, "is not a package" in error) == (2, True)


def test_a_forged_signature_does_not_count(office, package):
    """A copy with a signature of another text, under the id of a key of the set."""
    sign(office, package, "registry-1", "duty-1", "duty-2")
    path = package / "after" / "metadata" / "registry.json"
    draft = json.loads(path.read_text())
    root = json.loads((package / "before" / "metadata" / "targets.json").read_text())
    keyids = next(role["keyids"] for role in root["signed"]["delegations"]["roles"] if role["name"] == "registry")
    first = draft["signatures"][0]
    other = next(keyid for keyid in keyids if keyid != first["keyid"])
    draft["signatures"].append({"keyid": other, "sig": first["sig"]})
    path.write_text(json.dumps(draft))
    error = office.refused("publish", "--package", package)
    assert "registry needs the signatures of 2 of its 3 registry keys, and has 1" in error


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "either make the keys here with --keys"),
        (["--public", "root"], "is not SET=FILE"),
        (["--public", "night=x.pub"], "the sets are root, registry, duty"),
        (["--public", "root=missing.pub"], "cannot be read"),
    ],
)
def test_init_names_wrong_options(new_office, tmp_path, arguments, fault):
    more = [*arguments, "--package", tmp_path / "package"] if arguments else []
    assert fault in new_office.refused("init", *more)


def test_a_set_needs_its_number_of_keys(new_office, tmp_path):
    new_office.run("key", tmp_path / "one.pem")
    one = ["--public", f"root={tmp_path / 'one.pub'}"]
    begin = ("init", "--package", tmp_path / "package")
    assert "the set root has 3 keys, not 1" in new_office.refused(*begin, *one)
    assert "the set root has a key twice" in new_office.refused(*begin, *one * 3)
    (tmp_path / "one.pub").write_text("nothing")
    assert "is not a public key" in new_office.refused(*begin, *one)


def test_the_public_half_goes_into_a_new_file(new_office, tmp_path):
    _, told, _ = new_office.run("key", tmp_path / "m.yamada", "--json")
    assert told["public"] == str(tmp_path / "m.yamada.pub")
    _, told, _ = new_office.run("key", tmp_path / "a.pem", "--public", tmp_path / "b.pub", "--json")
    assert told["public"] == str(tmp_path / "b.pub")
    before = (tmp_path / "b.pub").read_bytes()
    code, _, error = new_office.run("key", tmp_path / "b.pem")
    assert (code, "cannot be written here: File exists" in error) == (2, True)
    assert (tmp_path / "b.pub").read_bytes() == before
    code, _, error = new_office.run("key", tmp_path / "c.pub")
    assert (code, "is a name for a public half" in error) == (2, True)


def test_a_good_signature_replaces_a_broken_one(office, package, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    sign(office, copy, "registry-1", "registry-2", "duty-1", "duty-2")
    for name in ("registry", "timestamp"):
        path = package / "after" / "metadata" / f"{name}.json"
        good = json.loads((copy / "after" / "metadata" / f"{name}.json").read_text())
        for signature in good["signatures"]:
            signature["sig"] = signature["sig"][::-1]
        path.write_text(json.dumps(good))
    assert office.run("assemble", package, copy) == (0, "all signatures are there\n", "")
    office.told("publish", "--package", package)


def test_a_package_that_waited_too_long_is_prepared_again(office, package, monkeypatch):
    sign(office, package, "registry-1", "registry-2", "duty-1", "duty-2")
    later = datetime.now(UTC) + timedelta(days=8)
    monkeypatch.setattr("idtone.authority.commands.publication.datetime", SimpleNamespace(now=lambda _: later))
    assert "snapshot needs the signatures" in office.refused("publish", "--package", package)
    office.told("publish", "--package", package, *office.duty())
