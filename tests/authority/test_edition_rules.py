"""A package may come from anyone: what it could contain, and that no holder signs or publishes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, MetaFile, TargetFile, Targets

from idtone.authority import repository as module
from idtone.registry.trust.client import Repository

from .office import WHY, Office

Spoil = Callable[[Path], None]


@pytest.fixture
def package(office: Office, tmp_path: Path) -> Path:
    """All roles: a rotation, a revocation and a suspension at once."""
    office.told("revoke", "L-0001", *WHY)
    office.told(
        "suspend-number", "--reference", "R-7", "--requested", "2026-11-02", *WHY, typed="0312345677\n0312345677\n"
    )
    new = []
    for number in (4, 5, 6):
        _, told, _ = office.run("key", office.key(f"registry-{number}"), "--json")
        new += ["--new", told["public"]]
    office.told("rotate", "registry", *new, *WHY, "--package", tmp_path / "rotation")
    for name in ("root-1", "root-2", "registry-4", "registry-5", "duty-1", "duty-2"):
        sign(office, tmp_path / "rotation", name)
    office.told("publish", "--package", tmp_path / "rotation")
    office.told("assign-number", "m-0002", *WHY, typed="0362345678\n")
    office.told("lift", *WHY, typed="0312345677\n0312345677\n")
    new = []
    for number in (3, 4):
        _, told, _ = office.run("key", office.key(f"duty-{number}"), "--json")
        new += ["--new", told["public"]]
    office.told("rotate", "duty", *new, *WHY, "--package", tmp_path / "package")
    return tmp_path / "package"


def sign(office: Office, package: Path, *names: str) -> tuple[int, str]:
    root = office.folder / "repository" / "metadata" / "1.root.json"
    code, _, error = office.run("sign", package, *office.keys(*names), "--trust", root, "--yes")
    return code, " ".join(error.split())


def changed(package: Path, name: str, change: Callable[[Any], None], part: str = "after") -> None:
    path = package / part / "metadata" / f"{name}.json"
    metadata = Metadata[Any].from_file(str(path))
    change(metadata.signed)
    path.write_bytes(metadata.to_bytes())


def key_under_anothers_id(package: Path) -> None:
    def change(root: Any) -> None:
        keyid = root.roles["timestamp"].keyids[0]
        stolen = CryptoSigner.generate_ed25519().public_key
        root.keys[keyid] = SSlibKey(keyid, stolen.keytype, stolen.scheme, stolen.keyval)

    changed(package, "root", change)


def targets_name_a_file_themselves(package: Path) -> None:
    file = package / "after" / "targets" / "suspensions.yaml"

    def change(targets: Targets) -> None:
        targets.targets["registry.yaml"] = TargetFile.from_file("registry.yaml", str(file), ["sha256"])

    changed(package, "targets", change)


def duty_may_sign_the_registry(package: Path) -> None:
    changed(package, "targets", lambda targets: targets.delegations.roles["suspensions"].paths.append("registry.yaml"))


def one_key_is_enough(package: Path) -> None:
    changed(package, "root", lambda root: setattr(root.roles["timestamp"], "threshold", 1))


def a_key_that_no_role_uses(package: Path) -> None:
    stolen = CryptoSigner.generate_ed25519().public_key
    changed(package, "root", lambda root: root.keys.__setitem__(stolen.keyid, stolen))


def one_role_of_the_set_has_another_key(package: Path) -> None:
    stolen = CryptoSigner.generate_ed25519().public_key

    def change(root: Any) -> None:
        root.revoke_key(root.roles["timestamp"].keyids[0], "timestamp")
        root.add_key(stolen, "timestamp")

    changed(package, "root", change)


def a_document_of_another_kind(package: Path) -> None:
    shutil.copy(package / "after/metadata/suspensions.json", package / "after/metadata/timestamp.json")


def a_version_without_a_successor(package: Path) -> None:
    changed(package, "suspensions", lambda signed: setattr(signed, "version", 2**31))


def a_snapshot_of_other_versions(package: Path) -> None:
    changed(package, "snapshot", lambda signed: signed.meta.__setitem__("registry.json", MetaFile(999)))


def a_timestamp_of_another_snapshot(package: Path) -> None:
    changed(package, "timestamp", lambda signed: setattr(signed, "snapshot_meta", MetaFile(999)))


def a_term_of_thousands_of_years(package: Path) -> None:
    changed(package, "timestamp", lambda signed: setattr(signed, "expires", signed.expires.replace(year=9000)))


def a_term_that_has_passed(package: Path) -> None:
    changed(package, "timestamp", lambda signed: setattr(signed, "expires", signed.expires.replace(year=2020)))


def an_unknown_field(package: Path) -> None:
    changed(package, "suspensions", lambda signed: signed.unrecognized_fields.__setitem__("x", 1))


def a_target_that_is_not_there(package: Path) -> None:
    target = TargetFile.from_data("registry.yaml", b"x", ["sha256"])
    changed(package, "suspensions", lambda signed: signed.targets.__setitem__("registry.yaml", target))


def an_unknown_field_beside_the_history(package: Path) -> None:
    def change(signed: Targets) -> None:
        signed.targets["suspensions.yaml"].unrecognized_fields["custom"]["more"] = 1

    changed(package, "suspensions", change)


def delegates_its_file(package: Path) -> None:
    targets = Metadata[Targets].from_file(str(package / "after/metadata/targets.json")).signed
    changed(package, "suspensions", lambda signed: setattr(signed, "delegations", targets.delegations))


def another_published_file(package: Path) -> None:
    shutil.copy(package / "after/targets/suspensions.yaml", package / "before/targets/suspensions.yaml")


def no_published_metadata(package: Path) -> None:
    shutil.rmtree(package / "before")
    (package / "before").mkdir()


def a_published_root_of_strangers(package: Path) -> None:
    stolen = CryptoSigner.generate_ed25519()
    changed(package, "root", lambda root: root.add_key(stolen.public_key, "root"), "before")


def an_unsigned_published_snapshot(package: Path) -> None:
    changed(package, "snapshot", lambda signed: setattr(signed, "version", 77), "before")


SPOILS: list[Spoil] = [
    key_under_anothers_id, targets_name_a_file_themselves, duty_may_sign_the_registry, one_key_is_enough,
    a_key_that_no_role_uses, one_role_of_the_set_has_another_key, a_document_of_another_kind,
    a_version_without_a_successor, a_snapshot_of_other_versions, a_timestamp_of_another_snapshot,
    a_term_of_thousands_of_years, a_term_that_has_passed, an_unknown_field, a_target_that_is_not_there,
    an_unknown_field_beside_the_history, delegates_its_file, another_published_file, no_published_metadata,
    a_published_root_of_strangers, an_unsigned_published_snapshot,
]  # fmt: skip


def test_a_package_that_breaks_a_rule_is_not_signed(office, package, tmp_path):
    for spoil in SPOILS:
        copy = tmp_path / spoil.__name__
        shutil.copytree(package, copy)
        spoil(copy)
        code, error = sign(office, copy, "root-1", "duty-3")
        assert code == 2, spoil.__name__
        assert "Traceback" not in error
    assert sign(office, package, "root-1", "root-2", "duty-3", "duty-4")[0] == 0
    office.told("publish", "--package", package)


def test_what_strangers_have_signed_is_not_published(office, package):
    """The package has all signatures by its own keys, and none by the published keys."""
    strangers = [CryptoSigner.generate_ed25519() for _ in range(2)]
    for part in ("before", "after"):
        for name in ("root", "targets"):
            if not (package / part / "metadata" / f"{name}.json").exists():
                continue

            def change(signed: Any) -> None:
                for stranger in strangers:
                    if signed.type == "root":
                        for role in signed.roles:
                            signed.add_key(stranger.public_key, role)
                    else:
                        for role in ("registry", "suspensions"):
                            signed.add_key(stranger.public_key, role)

            changed(package, name, change, part)
    for path in (package / "after" / "metadata").iterdir():
        metadata = Metadata[Any].from_file(str(path))
        for stranger in strangers:
            metadata.sign(stranger, append=True)
        path.write_bytes(metadata.to_bytes())
    assert "needs the signatures" in office.refused("publish", "--package", package)


def test_a_first_edition_is_described_completely(new_office, tmp_path):
    office, given = new_office, []
    office.key("any").parent.mkdir()
    for kind, count in {"root": 3, "registry": 3, "duty": 2}.items():
        for number in range(1, count + 1):
            _, told, _ = office.run("key", office.key(f"{kind}-{number}"), "--json")
            given += ["--public", f"{kind}={told['public']}"]
    told = office.told("init", *given, "--package", tmp_path / "first")
    text = "\n".join(told["words"])
    assert "member m-0001 is new: 良い電話株式会社" in text
    assert text.count("signs with 2 of") == 3
    assert len([line for line in told["words"] if len(line) == 66 and line.startswith("  ")]) == 8
    code, _, error = office.run("sign", tmp_path / "first", *office.keys("root-1"), "--trust", given[1][5:], "--yes")
    assert (code, "say --first" in error) == (2, True)


# -- interruptions ---------------------------------------------------------------------------------------------------


@contextmanager
def interrupted(office: Office, written: int, error: OSError) -> Iterator[None]:
    """The disk fills up after so many files of the repository."""
    whole, count = module.replace_durably, 0

    def broken(path: Path, octets: bytes, *more: Any) -> None:
        nonlocal count
        if path.is_relative_to(office.folder / "repository"):
            count += 1
            if count > written:
                raise error
        whole(path, octets, *more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "replace_durably", broken)
        yield


@pytest.mark.parametrize("written", range(9))
def test_an_interrupted_rotation_is_completed(office, tmp_path, written):
    new = [word for name in ("root-4", "root-5", "root-6") for word in ("--new", office.key(name))]
    given = office.keys("root-1", "root-2", "duty-1", "duty-2")
    with interrupted(office, written, OSError(5, "Input/output error")):
        code, _, error = office.run("rotate", office.folder, "root", *new, *WHY, *given)
    if code:
        assert "Input/output error" in error
        keys = office.keys("root-4", "root-5", "root-1", "root-2", "duty-1", "duty-2")
        office.told("publish", *keys)
    machine = tmp_path / "machine"
    root = tmp_path / "root.json"
    root.write_bytes((office.folder / "repository" / "metadata" / "1.root.json").read_bytes())
    Repository(root, str(office.folder / "repository"), machine).update()


@pytest.mark.parametrize("written", [1, 3])
def test_an_interrupted_first_publication_is_repeated(new_office, written):
    keys = new_office.key("any").parent
    with interrupted(new_office, written, OSError(28, "No space left on device")):
        code, _, error = new_office.run("init", new_office.folder, "--keys", keys)
    assert (code, "No space left" in error) == (2, True)
    new_office.told("init", "--keys", keys.with_name("again"))


# -- the public list --------------------------------------------------------------------------------------------------


def test_a_list_mixed_from_two_editions_is_refused(office, tmp_path):
    root = office.folder / "repository" / "metadata" / "1.root.json"
    old, new = tmp_path / "old", tmp_path / "new"
    office.told("publish", *office.duty(), "--site", old)
    office.told("revoke", "L-0001", *WHY)
    office.told("publish", *office.all_keys(), "--site", new)
    assert office.run("operators", old, "--trust", root)[0] == 0, "until its timestamp expires"
    for file in ("proof/registry.json", "operators.json"):
        shutil.copy(old / file, new / file)
    code, _, error = office.run("operators", new, "--trust", root)
    assert (code, "mixes files of several editions" in error) == (2, True)
    for file, fault in (("proof/timestamp.json", "cannot be read"), ("operators.json", "cannot be read")):
        (new / file).unlink()
        code, _, error = office.run("operators", new, "--trust", root)
        assert (code, fault in error) == (2, True), file
    for wrong in (tmp_path, old / "proof" / "timestamp.json", old / "index.html"):
        code, _, error = office.run("operators", old, "--trust", wrong)
        assert (code, "Traceback" in error) == (2, False)


def test_the_list_of_an_expired_registry_is_refused(office, tmp_path):
    text = office.registry.read_text().replace("version: 42", "version: 43")
    office.registry.write_text(text.replace("2026-12-01", "2026-11-02"))
    office.told("publish", *WHY, *office.all_keys(), "--site", tmp_path / "site")
    root = office.folder / "repository" / "metadata" / "1.root.json"
    code, _, error = office.run("operators", tmp_path / "site", "--trust", root)
    assert (code, "has expired" in error) == (2, True)


def test_a_site_that_cannot_be_written_is_reported_after_the_publication(office, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, out, error = office.run("publish", office.folder, *office.duty(), "--site", tmp_path / "file")
    assert (code, "signed: snapshot, timestamp" in out) == (2, True)
    assert "the registry was published, but not the public list" in " ".join(error.split())


def test_json_of_a_package_is_json(office, package):
    root = office.folder / "repository" / "metadata" / "1.root.json"
    code, told, error = office.run("sign", package, *office.keys("root-1"), "--trust", root, "--json", typed="y\n")
    assert code == 0
    assert json.loads(json.dumps(told))["signed"]
    assert "the set duty signs with" in error, "the changes are shown before the question"
