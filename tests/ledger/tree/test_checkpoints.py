from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.errors import ProofError
from idtone.ledger.tree.checkpoints import Checkpoint, believed
from idtone.ledger.tree.notes import Note, Signer

from .test_notes import COSIGNED

LOG = Signer("pbx.example/ledger", bytes(range(32)))
HEAD = Checkpoint("pbx.example/ledger", 8, bytes(range(32)))


def signed(checkpoint: Checkpoint, signer: Signer = LOG) -> Note:
    return Note(checkpoint.text, (signer.sign(checkpoint.text),))


def test_the_example_of_the_specification():
    checkpoint = Checkpoint.parse(Note.parse(COSIGNED.encode()).text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert COSIGNED.startswith(checkpoint.text + "\n")


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1)


@given(LINES, st.integers(0, 2**60), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3))
def test_every_checkpoint_is_read_as_it_was_written(origin, size, root, more):
    checkpoint = Checkpoint(origin, size, root, tuple(more))
    assert Checkpoint.parse(checkpoint.text) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x\n1\n",
        HEAD.text[:-1],
        HEAD.text.replace("\n8\n", "\n08\n"),
        HEAD.text.replace("\n8\n", "\n-8\n"),
        HEAD.text.replace("\n8\n", "\n8x\n"),
        HEAD.text.replace("AAEC", "AAEC\n"),
        HEAD.text.replace("AAEC", ""),
        HEAD.text + "\n",
        HEAD.text.replace("pbx.example/ledger", ""),
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(ProofError):
        Checkpoint.parse(text)


@pytest.mark.parametrize("origin", ["", "evil\n999"])
def test_an_origin_that_would_read_as_more_is_refused(origin):
    with pytest.raises(ProofError):
        Checkpoint(origin, 1, bytes(32))


def test_a_checkpoint_is_believed_by_its_logs_signature_alone():
    assert believed(signed(HEAD), LOG.key) == HEAD
    with pytest.raises(ProofError, match="not signed by the key of pbx"):
        believed(signed(HEAD, Signer("pbx.example/ledger", bytes(32))), LOG.key)
    other = Checkpoint("other.example/ledger", 8, bytes(32))
    with pytest.raises(ProofError, match=r"is of 'other.example/ledger'"):
        believed(signed(other), LOG.key)
