import base64
from dataclasses import replace

import pytest

from idtone.core.errors import ProofError
from idtone.core.signed_notes import Signer
from idtone.ledger.tree import merkle
from idtone.ledger.tree.inclusion_proof import HEADER, InclusionProof, parse_hashes
from lab.ledger.tree.reference import LEAVES, SIGNER, Stored, head, signed


def proof(index: int = 5, extra: bytes = b"") -> InclusionProof:
    return InclusionProof(index, tuple(merkle.inclusion_proof(index, 8, Stored(LEAVES).read)), signed(head(8)), extra)


def test_a_proof_is_read_as_it_was_written_and_believed():
    for index in range(8):
        read = InclusionProof.parse(str(proof(index, bytes(range(index)))).encode())
        assert read == proof(index, bytes(range(index)))
        assert read.check(LEAVES[index], SIGNER.key) == head(8)
        with pytest.raises(ProofError, match=f"not leaf {index} of this tree"):
            read.check(b"another", SIGNER.key)


def test_it_has_the_form_of_the_specification():
    lines = str(proof(extra=b"agev1")).split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra YWdldjE=", "index 5"]
    assert lines[6:8] == ["", SIGNER.key.name]
    assert str(InclusionProof(0, (), signed(head(1)))).split("\n")[1] == "index 0", "without extra there is no line"


def test_a_proof_by_another_log_is_not_believed():
    with pytest.raises(ProofError, match="not signed"):
        proof().check(LEAVES[5], Signer(SIGNER.key.name, bytes(32)).key)
    with pytest.raises(ProofError):
        replace(proof(), index=4).check(LEAVES[5], SIGNER.key)


def test_a_proof_has_at_most_63_hashes_of_32_bytes():
    hashes = [bytes([number] * 32) for number in range(64)]
    lines = [base64.b64encode(each).decode() for each in hashes]
    assert parse_hashes(lines[:63]) == tuple(hashes[:63])
    with pytest.raises(ProofError, match="at most 63 hashes"):
        parse_hashes(lines)
    for length in (0, 31, 33):
        with pytest.raises(ProofError, match="32 bytes"):
            parse_hashes([lines[0], base64.b64encode(bytes(length)).decode()])


TEXT = str(proof())


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "first line is not"),
        (b"index 5\n\n", "first line is not"),
        (TEXT.replace("@v1", "@v2").encode(), "first line is not"),
        (TEXT.split("\n\n")[0].encode(), "first line is not"),
        (f"{HEADER}\n\n{proof().checkpoint}".encode(), "of which leaf"),
        (TEXT.replace("index 5", "5").encode(), "of which leaf"),
        (TEXT.replace("index", "at").encode(), "of which leaf"),
        (TEXT.replace("index 5", "index 05").encode(), "leading zeroes"),
        (TEXT.replace("index", "extra !\nindex").encode(), "extra, is not base64"),
        (TEXT.replace("vBoGQ7", "vBoGQ7\n").encode(), "32 bytes in base64"),
        (b"\xff" + TEXT.encode(), "not text"),
    ],
)
def test_what_is_no_proof_is_refused(octets, why):
    with pytest.raises(ProofError, match=why):
        InclusionProof.parse(octets)
