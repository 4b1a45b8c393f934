"""Signed notes, tested with the examples of C2SP's specifications and of the Go implementation behind them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.core.errors import ProofError
from idtone.core.signed_notes import (
    NOTE_LIMIT,
    Algorithm,
    Note,
    SignatureLine,
    Signer,
    VerifierKey,
    cosigned_at,
    decode_base64,
)
from idtone.ledger.tree.checkpoints import Checkpoint
from lab.ledger.tree.reference import SIGNER

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
"""Seed of the signer of `PETERS_NOTE`; both are published with golang.org/x/mod/sumdb/note."""
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETERS_NOTE = (
    TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
"""Example in C2SP's specification signed-note."""
COSIGNED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
"""Example in C2SP's specification tlog-cosignature."""


def test_the_note_of_go_is_believed_and_made_again():
    key = VerifierKey.parse(PETER)
    note = Note.parse(PETERS_NOTE.encode())
    assert note.text == TEXT
    assert note.signed_by([key]) == (key,)
    signer = Signer("PeterNeumann", PETERS_SEED)
    assert str(signer.key) == PETER
    assert str(Note(TEXT, (signer.sign(TEXT),))) == PETERS_NOTE


def test_the_examples_of_the_specifications_are_read_and_written_alike():
    for example in (POEM, COSIGNED, PETERS_NOTE):
        assert str(Note.parse(example.encode())) == example
    poem = Note.parse(POEM.encode())
    assert poem.text.count("\n") == 4
    assert poem.signatures[0].name == "quasimodo.example/salvatore"
    assert cosigned_at(Note.parse(COSIGNED.encode()).signatures[1]) == 1679315147
    checkpoint = Checkpoint.parse(Note.parse(COSIGNED.encode()).text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert COSIGNED.startswith(checkpoint.text + "\n")


def test_verifier_keys_of_other_implementations():
    for text in (
        PETER,
        "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
        "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ):
        assert str(VerifierKey.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a verifier key"),
        ("PeterNeumann", "not a verifier key"),
        (PETER[:-1], "not a verifier key"),
        (PETER.replace("c74f20a3", "c74f20a4"), "does not have the id"),
        (PETER.replace("ARpc", "AhpC"), "not a verifier key"),
        (PETER.replace("PeterNeumann", "Peter Neumann"), "neither spaces nor plus"),
    ],
)
def test_what_is_no_verifier_key_is_refused(text, problem):
    with pytest.raises(ProofError, match=problem):
        VerifierKey.parse(text)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=50), st.integers(0, 2**40))
def test_what_is_signed_and_cosigned_is_believed_and_nothing_else(text, time_s):
    text += "\n"
    note = Note(text, (SIGNER.sign(text), SIGNER.cosign(text, time_s)))
    read = Note.parse(str(note).encode())
    assert read == note
    assert read.signed_by([SIGNER.key, SIGNER.cosigner]) == (SIGNER.key, SIGNER.cosigner)
    assert cosigned_at(read.signatures[1]) == time_s
    for key in (SIGNER.key, SIGNER.cosigner):
        with pytest.raises(ProofError, match="is not on this text"):
            Note(f"x{text}", read.signatures).signed_by([key])


def test_lines_by_others_are_passed_over_and_a_line_is_added_once():
    stranger = Signer(SIGNER.key.name, bytes(32)).sign(TEXT)
    assert Note(TEXT, (stranger, SIGNER.sign(TEXT))).signed_by([SIGNER.key]) == (SIGNER.key,)
    assert Note(TEXT, (stranger,)).signed_by([SIGNER.key]) == ()
    line = SIGNER.cosign(TEXT, 7)
    note = Note(TEXT, (SIGNER.sign(TEXT),)).with_lines([line, line])
    assert note.with_lines([line]) == note
    assert len(note.signatures) == 2


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        TEXT.encode(),
        f"{TEXT}\n".encode(),
        PETERS_NOTE.encode()[:-1],
        PETERS_NOTE.replace("—", "-").encode(),
        PETERS_NOTE.replace("— Peter", "— Peter+").encode(),
        PETERS_NOTE.replace("x08go", "x08g!").encode(),
        PETERS_NOTE.replace("\n", "\r\n").encode(),
        PETERS_NOTE.encode() + b"\xff\n",
        b"x" * NOTE_LIMIT + PETERS_NOTE.encode(),
        (TEXT + "\n" + PETERS_NOTE.removeprefix(TEXT + "\n") * 65).encode(),
    ],
)
def test_what_is_no_note_is_refused(octets):
    with pytest.raises(ProofError):
        Note.parse(octets)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_an_error(octets):
    try:
        note = Note.parse(octets)
    except ProofError:
        return
    assert str(note).encode() == octets


def test_what_is_nearly_right_is_wrong():
    for encoded in ("x", "xx", "xx=", "eA", "eB==", "eA==\n", "é"):
        assert decode_base64(encoded) is None
    for octets in (bytes(64), b"\xff" * 72):
        with pytest.raises(ProofError, match="no cosignature"):
            cosigned_at(SignatureLine("w", bytes(4), octets))
    with pytest.raises(ProofError, match="32 bytes"):
        VerifierKey("w", Algorithm.ED25519, bytes(31))
