"""Stored messages of the history: a page can show them in Japanese too."""

import json
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from idtone.core.errors import TrustError
from idtone.core.signed_notes import Signer
from idtone.core.translation import speak, translated
from idtone.office.authority.history import Action, HistoryEntry, read_history
from idtone.registry.differences import (
    ended_reference,
    never_originates_differences,
    registry_differences,
    suspension_differences,
)
from idtone.registry.model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument

LOG, NODE = (str(Signer(name, bytes([number] * 32)).key) for number, name in enumerate(("pbx-1/idtone", "m-0008/a"), 1))
WITNESS = str(Signer("witness", b"3" * 32).cosigner)
AT, THEN, LATER = (f"{year}-11-01T00:00:00+09:00" for year in (2026, 2027, 2028))
CERTIFIED = {"number": "認定第 1 号", "until": "2027-04-01", "document": "通知書", "next_check": "2027-03-01"}
MARKED = {**CERTIFIED, "mark": "E-1", "mark_until": "2027-04-01"}
PLEDGE = {
    "signed": "2026-01-05",
    "document": "見本-1",
    "signatory": "代表取締役",
    "until": "2036-01-05",
    "sha256": "a" * 64,
}
LICENCE: dict[str, Any] = {
    "id": "L-1",
    "tone": "sample",
    "status": "active",
    "valid": {"from": AT, "until": THEN},
    "directions": ["incoming"],
}
LATER_LICENCE = {
    **LICENCE,
    "tone": "other",
    "status": "suspended",
    "valid": {"from": THEN, "until": LATER},
    "directions": ["outgoing"],
}
BOTH: dict[str, Any] = {**LICENCE, "id": "L-2", "status": "revoked", "directions": ["incoming", "outgoing"]}
EIGHT: dict[str, Any] = {"id": "m-0008", "name": {"ja": "八番電話", "en": "Hachi"}}
FULL = {
    **EIGHT, "certification": MARKED, "pledge": PLEDGE, "licences": [LICENCE, BOTH],
    "numbers": ["0312345678", "0312345700-0312345799"], "logs": [{"key": LOG, "since": AT}],
}  # fmt: skip
EVALUATED = {
    "member": "m-0008", "grade": "gold", "title": {"ja": "優良", "en": "Good"}, "percent": "91.5",
    "period": {"from": "2026-01-01", "until": "2027-01-01"}, "valid": {"from": AT, "until": THEN},
    "criteria": {"version": 1, "sha256": "a" * 64}, "result": "b" * 64, "badge": "c" * 64,
}  # fmt: skip
CHECKED = {"by": "m-0001", "day": "2026-04-01", "document": "契約書"}
LINKS = [
    {"from": "m-0001", "to": "m-0002", "checked": CHECKED, "certification": CERTIFIED},
    {"from": "m-0002", "to": "m-0003"},
]
STOP: dict[str, Any] = {"number": "0312345678", "since": AT, "reference": "R-7"}
NEVER: dict[str, Any] = {"number": "0312345678", "since": AT, "reference": "R-7", "holder": "警察署"}


def registry(
    *members: dict[str, Any], tones: tuple[dict[str, Any], ...] = (), header: str = "JUSA", **more: Any
) -> RegistryDocument:
    header_of = {"association": header, "version": 1, "issued": AT, "expires": THEN if header == "JUSA" else LATER}
    return RegistryDocument.model_validate({"registry": header_of, "tones": tones, "members": members, **more})


def witnesses(number: int, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"witness_policy": {"cosignatures": number, "witnesses": entries}}


TONE: dict[str, Any] = {"id": "sample", "title": "Sample sound, not the association's"}
MASTER = {**TONE, "title": "Sound", "sha256": "d" * 64}
PORTED: dict[str, Any] = {"numbers": "0312345678", "from": "m-0001", "to": "m-0002", "at": AT}
CHAIN: dict[str, Any] = {"numbers": "0312345700-0312345799", "links": LINKS}
REGISTRIES = {
    "header": (registry(), registry(header="Other")),
    "tones": (registry(), registry(tones=(TONE, MASTER | {"id": "other"}))),
    "a tone": (registry(tones=(TONE,)), registry(tones=(MASTER,))),
    "a bare member": (registry(), registry(EIGHT)),
    "a whole member": (registry(), registry(FULL)),
    "one number": (registry(), registry(EIGHT | {"numbers": ["0312345678"], "certification": CERTIFIED})),
    "a pledge alone": (registry(), registry(EIGHT | {"pledge": {"signed": "2026-01-05"}})),
    "everything of a member": (
        registry(EIGHT | {"keys": [NODE]}),
        registry(FULL | {"corporate_number": "7000012050002"}),
    ),
    "names": (registry(EIGHT), registry(EIGHT | {"name": {"ja": "はち", "en": "Hachi Co., Ltd."}, "keys": [NODE]})),
    "a licence": (registry(EIGHT | {"licences": [LICENCE]}), registry(EIGHT | {"licences": [LATER_LICENCE]})),
    "numbers": (
        registry(EIGHT | {"numbers": ["0312345678", "0612345*"]}),
        registry(EIGHT | {"numbers": ["0312345679"]}),
    ),
    "notation": (registry(EIGHT | {"numbers": ["0312345678"]}), registry(EIGHT | {"numbers": ["03-1234-5678"]})),
    "a log's end": (
        registry(EIGHT | {"logs": [{"key": LOG, "since": AT}]}),
        registry(EIGHT | {"logs": [{"key": LOG, "since": AT, "until": THEN}]}),
    ),
    "witnesses": (registry(), registry(**witnesses(1, {"key": WITNESS, "since": AT}))),
    "a witness's end": (
        registry(**witnesses(1, {"key": WITNESS, "since": AT})),
        registry(**witnesses(2, {"key": WITNESS, "since": AT, "until": THEN})),
    ),
    "an evaluation": (registry(), registry(evaluations=[EVALUATED])),
    "a chain and a porting": (registry(), registry(chains=[CHAIN], portings=[PORTED])),
    "another chain": (
        registry(chains=[CHAIN], portings=[PORTED]),
        registry(chains=[CHAIN | {"links": LINKS[1:]}], portings=[PORTED | {"at": THEN}]),
    ),
}
SUSPENSIONS: dict[str, list[dict[str, Any]]] = {
    "numbers": [
        STOP,
        STOP | {"numbers": "0312345700-0312345799", "number": None, "until": THEN, "authority": "警視庁, 捜査第一課"},
    ],
    "member": [{"member": "m-0008", "since": AT, "reference": "R-8"}],
    "no new numbers": [{"member": "m-0008", "since": AT, "reference": "R-9", "kind": "no-new-numbers"}],
    "changed": [STOP | {"since": THEN, "until": LATER, "reference": "R 10", "authority": "県警"}],
}
NEVERS: dict[str, list[dict[str, Any]]] = {
    "one": [NEVER],
    "changed": [NEVER | {"since": THEN, "until": LATER, "reference": "R-8", "holder": "銀行", "why": "代表番号"}],
}


def differences() -> list[str]:
    """Differences between the documents of the tests, in both directions."""
    found = [
        each
        for old, new in REGISTRIES.values()
        for a, b in ((old, new), (new, old))
        for each in registry_differences(a, b)
    ]
    for first in [[], *SUSPENSIONS.values()]:
        for second in [[], *SUSPENSIONS.values()]:
            stops = [
                SuspensionsDocument.model_validate({"issued": AT, "suspensions": each}) for each in (first, second)
            ]
            found += suspension_differences(stops[0], stops[1])
    for first in [[], *NEVERS.values()]:
        for second in [[], *NEVERS.values()]:
            never = [
                NeverOriginatesDocument.model_validate({"issued": AT, "never_originates": each})
                for each in (first, second)
            ]
            found += never_originates_differences(never[0], never[1])
    return found


def in_japanese(text: str) -> str:
    context = copy_context()
    context.run(speak, "ja")
    return context.run(translated, text)


def test_the_file_of_the_history_keeps_all_words_in_both_languages(tmp_path: Path) -> None:
    what = (*differences(), "Text {with} braces")
    entry = HistoryEntry(at=AT, action=Action.EDIT, by="a", subject="s", why="w", what=what)
    path = tmp_path / "registry.jsonl"
    read_history(path).append_entry(entry)
    (read,) = read_history(path).entries
    assert read.what == what
    assert [*map(in_japanese, read.what)] == [*map(in_japanese, what)] != [*what]
    assert [*map(ended_reference, read.what)] == [*map(ended_reference, what)]
    assert json.loads(read.model_dump_json())["what"] == [*what], "a command's JSON has sentences"


@pytest.mark.parametrize(
    "words",
    [
        1, {"text": "a"}, {"text": 1, "fields": {}}, {"text": "{a}", "fields": {}}, {"text": "{", "fields": {}},
        {"text": "{a.b}", "fields": {"a": "x", "a.b": ""}}, {"text": "{a:{b}}", "fields": {"a": "x", "b": "5"}},
        {"text": "{a:d}", "fields": {"a": "x"}}, {"text": "a", "fields": {"a": None}},
        {"text": "{}", "fields": {"": 1}},
    ],
)  # fmt: skip
def test_damaged_words_are_refused(words: Any, tmp_path: Path) -> None:
    line = {"at": AT, "action": "edit", "by": "a", "subject": "s", "why": "w", "what": [words]}
    (tmp_path / "registry.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(TrustError, match=r"registry\.jsonl:1: is not an entry of a history"):
        read_history(tmp_path / "registry.jsonl")
