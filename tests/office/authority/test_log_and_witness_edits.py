"""Logs and witnesses in the registry: from the command to the text that key holders sign, and refused entries."""

import json
from typing import Any

from idtone.core.signed_notes import Signer
from idtone.registry.parsers import parse_registry
from lab.office.authority.office import WHY, Office
from lab.office.authority.sign_package import change_package, sign

LOG, OTHER = (str(Signer(name, b"1" * 32).key) for name in ("pbx-1/idtone", "pbx-9/idtone"))
FIRST, SECOND = (Signer(f"{name}.example/w", name.encode().ljust(32)) for name in ("first", "second"))
NUMBER = "7000012050002"


def signed_logs(office: Office) -> Any:
    versions = (office.folder / "repository" / "metadata").glob("*.registry.json")
    path = max(versions, key=lambda each: int(each.name.partition(".")[0]))
    return json.loads(path.read_bytes())["signed"]["targets"]["registry.yaml"]["custom"].get("logs")


def test_what_the_office_enters_of_logs_and_witnesses_is_signed(office):
    assert signed_logs(office) is None, "so older registries say nothing of logs"
    since = ("--since", "2026-11-01")
    told = office.json("log add-key", "m-0001", LOG, *since, "--corporate-number", NUMBER)
    assert told["what"] == [
        f"member m-0001: the corporate number is {NUMBER}, was none",
        f"member m-0001: log {LOG} is new: since 2026-11-01T00:00:00+09:00",
    ]
    for witness in (FIRST, SECOND):
        office.json("log add-witness", str(witness.cosigner), *since)
    assert office.json("log demand-cosignatures", "2", *WHY)["what"] == ["the number of cosignatures is 2, was 1"]
    told = office.json("log end-key", LOG, "--until", "2026-11-20T09:00:00+09:00", *WHY)
    assert [" until 2026-11-20T09:00:00+09:00, was since" in each for each in told["what"]] == [True]
    told = office.json("log end-key", LOG, "--until", "2026-11-18", *WHY)
    assert [" until 2026-11-18, was since" in each for each in told["what"]] == [True], "with this day"
    office.json("publication publish", *WHY, *office.all_keys())
    begin = "2026-10-31T15:00:00+00:00"
    assert signed_logs(office) == {
        "members": [
            {
                "member": "m-0001",
                "name": {"ja": "良い電話株式会社", "en": "Good Telecom"},
                "corporate_number": NUMBER,
                "logs": [{"key": LOG, "since": begin, "until": "2026-11-18T15:00:00+00:00"}],
            }
        ],
        "witnesses": [{"key": str(each.cosigner), "since": begin, "until": None} for each in (FIRST, SECOND)],
        "cosignatures": 2,
    }
    office.json("log end-witness", str(SECOND.cosigner), "--until", "2026-12-01", *WHY)
    assert "until: 2026-12-02T00:00:00+09:00" in office.registry.read_text()
    policy = parse_registry(office.registry.read_text(), "").witness_policy
    assert policy
    assert [bool(each.until) for each in policy.witnesses] == [False, True]


def test_what_cannot_be_a_log_or_a_witness_is_refused(office):
    office.json("log add-key", "m-0001", LOG)
    office.json("log add-witness", str(FIRST.cosigner))
    for words, *command in (
        ("is there twice", "log add-key", "m-0001", LOG),
        ("another member's", "log add-key", "m-0002", OTHER),
        ("a log key cannot be a witness key", "log add-key", "m-0001", str(FIRST.cosigner)),
        ("a log key cannot be a witness key", "log add-witness", LOG),
        ("a log is no witness of itself", "log add-witness", str(Signer("w.example/w", b"1" * 32).cosigner)),
        ("is more than there are witnesses", "log demand-cosignatures", "2", *WHY),
        ("is not after `since`", "log end-key", LOG, "--until", "2020-01-01", *WHY),
        ("no log with this key", "log end-key", OTHER, "--until", "2026-12-01", *WHY),
        ("no witness with this key", "log end-witness", str(SECOND.cosigner), "--until", "2026-12-01", *WHY),
        ("no member 'm-9'", "log add-key", "m-9", OTHER),
        ("is not a corporate number", "log add-key", "m-0001", OTHER, "--corporate-number", "1000012050002"),
    ):
        assert words in office.refused(*command), command


def test_a_package_with_other_logs_than_the_file_is_not_signed(office, tmp_path):
    office.json("log add-key", "m-0001", LOG)
    office.json("publication prepare", "--package", tmp_path / "package")
    change_package("registry", lambda signed: signed.targets["registry.yaml"].custom.pop("logs"), tmp_path / "package")
    code, error = sign(office, tmp_path / "package", "registry-1")
    assert (code, "names other logs and witnesses than registry.yaml" in error) == (2, True), error
