"""Packages from strangers: holders do not sign them, and the authority does not publish them."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from idtone.core.errors import TrustError
from idtone.office.authority import signed_repository as module
from idtone.office.authority.edition import read_edition
from idtone.office.site.site_package import read_site_package
from idtone.registry.trust.publication_client import PublicationClient
from lab.office.authority.office import STOP, TWICE, WHY, Office
from lab.office.authority.sign_package import change_package, sign

STRANGER = CryptoSigner.generate_ed25519()
NOBODY = 65534


@pytest.fixture
def package(office: Office, tmp_path: Path) -> Path:
    """Package that changes all roles: with a rotation, a revocation and a suspension."""
    office.json("licence revoke", "L-0001", *WHY)
    office.json("suspension number", *STOP, typed=TWICE)
    new = office.new_keys("registry-4", "registry-5", "registry-6")
    office.json("key rotate", *new, *WHY, "--package", tmp_path / "rotation")
    for name in ("root-1", "root-2", "registry-4", "registry-5", "duty-1", "duty-2"):
        sign(office, tmp_path / "rotation", name)
    office.json("publication publish", "--package", tmp_path / "rotation")
    office.json("number assign", "m-0002", *WHY, typed="0362345678\n")
    office.json("suspension lift", *WHY, typed=TWICE)
    new = office.new_keys("duty-5", "duty-6", "duty-7", "duty-8")
    office.json("key rotate", *new, *WHY, "--package", tmp_path / "package")
    return tmp_path / "package"


def setting(name: str, **values: object) -> Callable[[Path], None]:
    return partial(change_package, name, lambda signed: [setattr(signed, *each) for each in values.items()])


def expiring(year: int) -> Callable[[Path], None]:
    return partial(
        change_package, "timestamp", lambda signed: setattr(signed, "expires", signed.expires.replace(year=year))
    )


def copied(source: str, target: str) -> Callable[[Path], None]:
    return lambda package: shutil.copy(package / source, package / target)


def key_under_anothers_id(root: Any) -> None:
    keyid, stolen = root.roles["timestamp"].keyids[0], STRANGER.public_key
    root.keys[keyid] = SSlibKey(keyid, stolen.keytype, stolen.scheme, stolen.keyval)


def another_key_of_one_role(root: Any) -> None:
    root.revoke_key(root.roles["timestamp"].keyids[0], "timestamp")
    root.add_key(STRANGER.public_key, "timestamp")


def delegates_its_file(role: str) -> Callable[[Path], None]:
    def spoil(package: Path) -> None:
        targets = Metadata[Any].from_file(str(package / "after/metadata/targets.json")).signed
        setting(role, delegations=targets.delegations)(package)

    return spoil


def in_custom(**fields: object) -> Callable[[Path], None]:
    return partial(
        change_package,
        "suspensions",
        lambda signed: signed.targets["suspensions.yaml"].unrecognized_fields["custom"].update(fields),
    )


def no_published_metadata(package: Path) -> None:
    shutil.rmtree(package / "before")
    (package / "before").mkdir()


TARGET = TargetFile.from_data("registry.yaml", b"x", ["sha256"])
SPOILS: dict[str, Callable[[Path], object]] = {
    "a key under another's id": partial(change_package, "root", key_under_anothers_id),
    "one key is enough": partial(change_package, "root", lambda root: setattr(root.roles["timestamp"], "threshold", 1)),
    "a key that no role uses": partial(
        change_package, "root", lambda root: root.keys.update({STRANGER.public_key.keyid: STRANGER.public_key})
    ),
    "one role of the set has another key": partial(change_package, "root", another_key_of_one_role),
    "targets name a file themselves": partial(
        change_package, "targets", lambda targets: targets.targets.update({"registry.yaml": TARGET})
    ),
    "duty may sign the registry": partial(
        change_package,
        "targets",
        lambda targets: targets.delegations.roles["suspensions"].paths.append("registry.yaml"),
    ),
    "a document of another kind": copied("after/metadata/suspensions.json", "after/metadata/timestamp.json"),
    "a version without a successor": setting("suspensions", version=2**31),
    "a snapshot of other versions": partial(
        change_package, "snapshot", lambda signed: signed.meta.update({"registry.json": MetaFile(999)})
    ),
    "a timestamp of another snapshot": setting("timestamp", snapshot_meta=MetaFile(999)),
    "a term of thousands of years": expiring(9000),
    "a term that has passed": expiring(2020),
    "an unknown field": partial(change_package, "suspensions", lambda signed: signed.unrecognized_fields.update(x=1)),
    "a target that is not there": partial(
        change_package, "suspensions", lambda signed: signed.targets.update({"registry.yaml": TARGET})
    ),
    "an unknown field beside the history": partial(
        change_package,
        "suspensions",
        lambda signed: signed.targets["suspensions.yaml"].unrecognized_fields["custom"].update(more=1),
    ),
    "a history that is no anchor": in_custom(history=None),
    "a hidden word in the anchor of the history": in_custom(history={"entries": 1, "sha256": "0", "more": 1}),
    "a word in place of the custom part": partial(
        change_package,
        "suspensions",
        lambda signed: signed.targets["suspensions.yaml"].unrecognized_fields.update(custom="x"),
    ),
    "the suspensions delegate their file": delegates_its_file("suspensions"),
    "a role without a file delegates it": delegates_its_file("never-originates"),
    "a number in place of the digest of a history": in_custom(history={"entries": 0, "sha256": "0312345678"}),
    "a history of no count of entries": in_custom(history={"entries": False, "sha256": "0" * 64}),
    "a number in the version of the specification": setting("suspensions", spec_version="1.0.0312345678"),
    "another published file": copied("after/targets/suspensions.yaml", "before/targets/suspensions.yaml"),
    "no published metadata": no_published_metadata,
    "a published root of strangers": partial(
        change_package, "root", lambda root: root.add_key(STRANGER.public_key, "root"), part="before"
    ),
    "an unsigned published snapshot": partial(
        change_package, "snapshot", lambda signed: setattr(signed, "version", 77), part="before"
    ),
}


def test_a_package_that_breaks_a_rule_is_not_signed(office, package, tmp_path):
    for name, spoil in SPOILS.items():
        copy = tmp_path / name
        shutil.copytree(package, copy)
        spoil(copy)
        code, error = sign(office, copy, "root-1", "duty-5")
        assert (code, "Traceback" in error) == (2, False), name
    assert sign(office, package, "root-1", "root-2", "duty-5", "duty-6")[0] == 0
    office.json("publication publish", "--package", package)


def cut_off(name: str) -> Callable[[Path], None]:
    def cut(package: Path) -> None:
        path = package / name
        path.write_bytes(path.read_bytes()[:-100])

    return cut


def a_number_without_canonical_form(package: Path) -> None:
    path = package / "after/metadata/registry.json"
    whole = json.loads(path.read_bytes())
    whole["signed"]["x"] = 1.5
    path.write_text(json.dumps(whole))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (cut_off("after/metadata/registry.json"), "after/metadata/registry.json: is damaged"),
    "cut off before": (cut_off("before/metadata/root.json"), "before/metadata/root.json: is damaged"),
    "another kind": (
        copied("before/metadata/timestamp.json", "before/metadata/root.json"),
        "before/metadata/root.json: is damaged",
    ),
    "another kind among the roots": (
        copied("before/metadata/timestamp.json", "roots/1.root.json"),
        "roots/1.root.json: is damaged",
    ),
    "nobody may sign": (
        copied("before/metadata/registry.json", "before/metadata/targets.json"),
        "before/metadata/targets.json: is damaged",
    ),
    "no canonical form": (a_number_without_canonical_form, "after/metadata/registry.json: is damaged"),
    "a role is missing": (
        lambda package: (package / "before/metadata/targets.json").unlink(),
        "before/metadata/targets.json: is missing",
    ),
}


def test_a_damaged_package_is_one_error_that_names_the_file_and_what_to_do(office, tmp_path):
    package = tmp_path / "package"
    office.json("licence revoke", "L-0001", *WHY)
    office.json("publication prepare", "--package", package)
    for name, (spoil, said) in DAMAGES.items():
        copy = tmp_path / name
        shutil.copytree(package, copy)
        spoil(copy)
        with pytest.raises(TrustError) as raised:
            read_edition(copy)
        assert str(raised.value) == f"{copy}/{said}; ask for the package again", name
        code, error = sign(office, copy, "registry-1")
        assert (code, f"{said}; ask for the package again" in error) == (2, True), name
    with pytest.raises(TrustError, match="is not a package"):
        read_edition(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("read", [read_edition, read_site_package])
def test_a_package_that_may_not_be_read_is_one_error(read, tmp_path):
    tmp_path.chmod(0o700)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(TrustError, match="cannot be read: Permission denied"):
            read(tmp_path / "package")
    finally:
        os.seteuid(0)


def test_what_strangers_have_signed_is_not_published(office, package):
    """The package's own keys have signed everything in it, the published keys nothing."""
    strangers = [CryptoSigner.generate_ed25519() for _ in range(2)]

    def change(signed: Any) -> None:
        for role in signed.roles if signed.type == "root" else ("registry", "suspensions"):
            for stranger in strangers:
                signed.add_key(stranger.public_key, role)

    for part in ("before", "after"):
        for name in ("root", "targets"):
            if (package / part / "metadata" / f"{name}.json").exists():
                change_package(name, change, package, part)
    for path in (package / "after" / "metadata").iterdir():
        metadata = Metadata[Any].from_file(str(path))
        for stranger in strangers:
            metadata.sign(stranger, append=True)
        path.write_bytes(metadata.to_bytes())
    assert "needs the signatures" in office.refused("publication publish", "--package", package)


@contextmanager
def interrupted(office: Office, written: int, error: OSError) -> Iterator[None]:
    """Context in which `error` is raised after `written` files of the repository."""
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


@pytest.mark.parametrize("written", [0, 1, 2, 4, 8])
def test_an_interrupted_rotation_is_completed(office, tmp_path, written):
    new = office.new_keys("root-4", "root-5", "root-6")
    given = office.keys("root-1", "root-2", "root-4", "root-5", "duty-1", "duty-2")
    with interrupted(office, written, OSError(5, "Input/output error")):
        code, _, error = office.run("key rotate", *new, *WHY, *given)
    if code:
        assert "Input/output error" in error
        keys = office.keys("root-4", "root-5", "root-1", "root-2", "duty-1", "duty-2")
        office.json("publication publish", *keys)
    root = tmp_path / "root.json"
    root.write_bytes(office.root.read_bytes())
    PublicationClient(root, str(office.folder / "repository"), tmp_path / "machine").update()


@pytest.mark.parametrize("written", [1, 3])
def test_an_interrupted_first_publication_is_repeated(new_office, written):
    keys = new_office.key("any").parent
    with interrupted(new_office, written, OSError(28, "No space left on device")):
        assert "No space left" in new_office.error("publication begin", "--keys", keys)
    new_office.json("publication begin", "--keys", keys.with_name("again"))


def test_a_list_mixed_from_two_editions_is_refused(office, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    office.json("publication publish", *office.duty(), "--site", old)
    office.json("licence revoke", "L-0001", *WHY)
    office.json("publication publish", *office.all_keys(), "--site", new)
    assert office.run("verify", "operators", old, "--trust", office.root)[0] == 0, "until its timestamp expires"
    for file in ("proof/registry.json", "proof/operators.json", "operators.json"):
        shutil.copy(old / file, new / file)
    assert "mixes files of several editions" in office.error("verify", "operators", new, "--trust", office.root)
    for file in ("proof/timestamp.json", "operators.json"):
        (new / file).unlink()
        assert "cannot be read" in office.error("verify", "operators", new, "--trust", office.root)
    for wrong in (tmp_path, old / "proof" / "timestamp.json", old / "index.html"):
        code, _, error = office.run("verify", "operators", old, "--trust", wrong)
        assert (code, "Traceback" in error) == (2, False)


def test_the_list_of_an_expired_registry_is_refused(office, tmp_path):
    text = office.registry.read_text().replace("version: 42", "version: 43")
    office.registry.write_text(text.replace("2036-12-01", "2026-11-02"))
    office.json("publication publish", *WHY, *office.all_keys(), "--site", tmp_path / "site")
    assert "has expired" in office.error("verify", "operators", tmp_path / "site", "--trust", office.root)


def test_a_site_that_cannot_be_written_is_reported_after_the_publication(office, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, out, error = office.run("publication publish", *office.duty(), "--site", tmp_path / "file")
    assert (code, "signed: snapshot, timestamp" in out) == (2, True)
    assert "the registry was published, but not the public list" in " ".join(error.split())
