import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.core.errors import ProofError
from idtone.core.signed_notes import Signer
from idtone.ledger.tree.checkpoints import Checkpoint, verified_checkpoint
from lab.ledger.tree.reference import SIGNER, head, signed

HEAD = head(8, bytes(range(32)))
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1)


@given(LINES, st.integers(0, 2**60), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3))
def test_every_checkpoint_is_read_as_it_was_written(origin, size, root, more):
    checkpoint = Checkpoint(origin, size, root, tuple(more))
    assert Checkpoint.parse(checkpoint.text) == checkpoint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (HEAD.text, ""),
        (HEAD.text, "x\n1\n"),
        ("=\n", "="),
        ("=\n", "=\nx"),
        ("\n8\n", "\n08\n"),
        ("\n8\n", "\n-8\n"),
        ("\n8\n", "\n8x\n"),
        ("AAEC", "AAEC\n"),
        ("AAEC", ""),
        ("=\n", "=\n\n"),
        (HEAD.origin, ""),
    ],
)
def test_what_is_no_checkpoint_is_refused(old, new):
    assert old in HEAD.text
    with pytest.raises(ProofError):
        Checkpoint.parse(HEAD.text.replace(old, new))


def test_an_origin_that_would_read_as_more_is_refused():
    for origin in ("", "evil\n999"):
        with pytest.raises(ProofError):
            Checkpoint(origin, 1, bytes(32))


def test_a_checkpoint_is_believed_by_its_logs_signature_alone():
    assert verified_checkpoint(signed(HEAD), SIGNER.key) == HEAD
    with pytest.raises(ProofError, match="not signed by the key of pbx"):
        verified_checkpoint(signed(HEAD, Signer(HEAD.origin, bytes(32))), SIGNER.key)
    with pytest.raises(ProofError, match=r"is of 'other.example/ledger'"):
        verified_checkpoint(signed(Checkpoint("other.example/ledger", 8, bytes(32))), SIGNER.key)
