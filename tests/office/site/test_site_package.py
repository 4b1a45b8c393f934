"""The statement of the public site, signed by key holders in different places."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from idtone.office.site.site_package import read_site_package
from lab.office.authority.office import PHRASE, Office
from lab.office.site.published_site import statement_of
from lab.terminal import Terminal

Prepared = tuple[Office, Path]


@pytest.fixture
def prepared(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """An association with a published registry, and an unsigned package."""
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    for name in ("authority", "keys"):
        shutil.copytree(built / name, tmp_path / name)
    office, package = Office(tmp_path / "authority", monkeypatch), tmp_path / "package"
    told = office.json("site prepare", "--package", package)
    assert told["missing"] == ["the public site needs the signatures of 2 of the duty keys, and has 0"]
    return office, package


def sign(office: Office, package: Path, name: str, *more: object, code: int = 0) -> Any:
    words = ("site", "sign", package, *office.keys(name), "--trust", office.root, "--yes", *more)
    return Terminal.json(office, *words, code=code)


def refusal(office: Office, package: Path, *more: object) -> str:
    return Terminal.error(
        office, "site", "sign", package, *office.keys("duty-1"), "--trust", office.root, "--yes", *more
    )


def changed(package: Path, **content: Any) -> None:
    path = package / "site" / "statement.json"
    whole = json.loads(path.read_text())
    whole["signed"] |= content
    path.write_text(json.dumps(whole))


def test_two_holders_sign_copies_in_different_places_and_the_site_has_both_signatures(prepared, tmp_path):
    office, package = prepared
    copies = [shutil.copytree(package, tmp_path / f"copy-{n}") for n in (1, 2)]
    first = sign(office, copies[0], "duty-1")
    assert "licensed: m-0001 良い電話株式会社" in first["words"]
    assert any("were not compared with the registry" in each for each in first["words"])
    assert first["missing"] == ["the public site needs the signatures of 2 of the duty keys, and has 1"]
    second = sign(office, copies[1], "duty-2", "--numbers", office.folder / "public-numbers.key")
    assert any("have what the registry says" in each for each in second["words"])
    some = Terminal.json(office, "site", "assemble", package, copies[0], code=1)
    assert some["signatures"] == [office.key_id("duty-1")]
    assert "has 1" in office.refused("site write", "-o", tmp_path / "early", "--package", package)
    zipped = Path(shutil.make_archive(str(tmp_path / "copy"), "zip", copies[1]))
    whole = Terminal.json(office, "site", "assemble", package, zipped)
    assert (sorted(whole["signatures"]), whole["missing"]) == (sorted(map(office.key_id, ("duty-1", "duty-2"))), [])
    office.json("site write", "-o", tmp_path / "site", "--package", package)
    assert statement_of(tmp_path / "site") == read_site_package(package).statement.content
    directly = tmp_path / "directly"
    office.json("site write", "-o", directly, *office.duty())
    told, again = statement_of(tmp_path / "site"), statement_of(directly)
    assert (told["numbers"], told["holders"], told["editions"]) == (
        again["numbers"],
        again["holders"],
        again["editions"],
    )
    files = [sorted(path.relative_to(one) for path in one.rglob("*")) for one in (tmp_path / "site", directly)]
    assert files[0] == files[1]


CHANGES = {
    "another holder": {"holders": []},
    "another edition": {"editions": {}},
    "a longer time": {"expires": "2099-01-01T00:00:00+00:00"},
    "a time that is over": {"expires": "2020-01-01T00:00:00+00:00"},
    "another association": {"association": "JUSB"},
    "further words": {"further": 1},
    "figures that are not there": {"figures": "0" * 64},
    "no tables": {"numbers": {}},
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_statement_that_is_not_what_was_published_is_refused(prepared, case):
    office, package = prepared
    changed(package, **CHANGES[case])
    assert refusal(office, package)
    assert read_site_package(package).statement.signatures == {}


def test_a_package_with_another_registry_or_other_tables_is_refused(prepared, tmp_path):
    office, package = prepared
    registry = package / "before" / "targets" / "registry.yaml"
    text = registry.read_bytes()
    registry.write_bytes(text + b"#")
    assert "not the file that was" in refusal(office, package)
    registry.write_bytes(text)
    [file] = (package / "site" / "tables").iterdir()
    octets = file.read_bytes()
    file.write_bytes(octets[:-1] + bytes([octets[-1] ^ 1]))
    assert "not those that its statement names" in refusal(office, package)
    file.write_bytes(octets)
    key = tmp_path / "other.key"
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    assert "or the key is another one" in refusal(office, package, "--numbers", key)
    words = ("site", "sign", package, *office.keys("root-1"), "--trust", office.root, "--yes")
    code, _, error = Terminal.run(office, *words)
    assert (code, "takes the signature of this key" in error) == (2, True)


def test_signatures_that_are_renewed_leave_the_package_valid(prepared, tmp_path):
    office, package = prepared
    for name in ("duty-1", "duty-2"):
        sign(office, package, name)
    office.json("publication publish", *office.duty())
    office.json("site write", "-o", tmp_path / "renewed", "--package", package)


@pytest.mark.parametrize("content", [{"issued": "2026-12-01T00:00:00"}, {"expires": "2099-01-01T00:00:00"}])
def test_a_time_without_its_zone_is_an_error_of_the_package(prepared, content):
    office, package = prepared
    sign(office, package, "duty-1")
    changed(package, **content)
    assert "are not those that its statement names" in refusal(office, package)
    if "expires" in content:
        assert "are not those that its statement names" in office.refused("site prepare", "--package", package)


def test_figures_that_are_no_object_are_an_error_of_the_package(prepared):
    office, package = prepared
    (package / "site" / "figures.json").write_bytes(b"[]")
    changed(package, figures=sha256(b"[]").hexdigest())
    assert "are not those that its statement names" in refusal(office, package)


@pytest.mark.parametrize("why", ["its time is over", "something was published since"])
def test_a_signed_package_that_is_void_is_replaced(prepared, why):
    office, package = prepared
    sign(office, package, "duty-1")
    assert "holders have signed this package" in office.refused("site prepare", "--package", package)
    if why == "its time is over":
        changed(package, expires="2020-01-01T00:00:00+00:00")
    else:
        office.json("licence suspend", "L-0001", "--why", "as asked")
        office.json("publication publish", *office.all_keys())
    office.json("site prepare", "--package", package)
    assert read_site_package(package).statement.signatures == {}


def test_the_site_is_signed_in_one_way(prepared, tmp_path):
    office, package = prepared
    assert "sign with --key, or name" in office.refused("site write", "-o", tmp_path / "site")
    both = office.refused("site write", "-o", tmp_path / "site", "--package", package, *office.duty())
    assert "sign with --key, or name" in both
