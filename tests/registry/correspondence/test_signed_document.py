"""The content of a signed document, and texts that are refused as one."""

from datetime import UTC, datetime

import pytest

from idtone.core.errors import TrustError
from idtone.core.signed_notes import Note, Signer
from idtone.registry.correspondence.signed_document import HEADER, sign_document, verified_document

AT = datetime(2026, 11, 27, 9, tzinfo=UTC)
SIGNER = Signer("m-0001/pbx-1", b"1" * 32)
OTHER = Signer("m-0002/pbx-1", b"2" * 32)
KEYS = {"m-0001": [SIGNER.key], "m-0002": [OTHER.key]}
CONTENT = {"result": "not ours", "名前": "良い電話"}


def keys_of(member: str):
    return KEYS.get(member, [])


def made(member: str = "m-0001", signer: Signer = SIGNER) -> bytes:
    return sign_document("report-answer", member, CONTENT, signer, AT)


def test_it_is_read_as_it_was_signed():
    document = verified_document(made(), keys_of)
    assert (document.kind, document.member, document.at, document.content) == ("report-answer", "m-0001", AT, CONTENT)
    assert document.key == SIGNER.key
    assert verified_document(made(), keys_of).id != document.id


def resigned(change) -> bytes:
    text = change(Note.parse(made()).text)
    return str(Note(text, (SIGNER.sign(text),))).encode()


STRANGE = {
    "no note": b"hello",
    "empty": b"",
    "another header": resigned(lambda text: text.replace(HEADER, "idtone-document/2")),
    "a checkpoint": resigned(lambda _: "m-0001/idtone\n5\nAAAA\n"),
    "not canonical": resigned(lambda text: text.replace('"at":', '"at": ')),
    "a key twice": resigned(lambda text: text.replace('{"at":', '{"at":"2026-11-27T09:00:00+00:00","at":')),
    "no time zone": resigned(lambda text: text.replace("+00:00", "")),
    "no id": resigned(lambda text: text.replace('"id":"', '"id":"x')),
    "a further field": resigned(lambda text: text.replace('"kind":', '"kid":1,"kind":')),
    "more lines": resigned(lambda text: text + "more\n"),
    "deep": resigned(lambda text: text.replace('"名前"', '"z":' + "[" * 3000 + "]" * 3000 + ',"名前"')),
}


@pytest.mark.parametrize("what", STRANGE)
def test_it_is_exactly_what_is_signed(what):
    with pytest.raises(TrustError, match="not a signed document"):
        verified_document(STRANGE[what], keys_of)


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (made("m-0001", OTHER), "not signed by a key that the registry names for member 'm-0001'"),
        (made("m-0009"), "'m-0009'"),
        (made().replace(b"not ours", b"is ours!"), "the signature of m-0001/pbx-1 is not on this text"),
    ],
    ids=["another member's key", "an unknown member", "changed afterwards"],
)
def test_a_key_of_its_member_has_signed_it(octets, said):
    with pytest.raises(TrustError, match=said):
        verified_document(octets, keys_of)
