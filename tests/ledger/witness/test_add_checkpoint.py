from http import HTTPStatus

import pytest

from idtone.core.errors import ProofError
from idtone.core.signed_notes import Signer, cosigned_at
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.witness.add_checkpoint import SIZE_TYPE, AddCheckpoint, cosignatures, judge
from lab.ledger.tree.reference import ROOTS, SIGNER, head, signed
from lab.ledger.witness.witness_request import LOGS, WITNESS, witness_request

NAME = "example.com/behind-the-sofa"
EXAMPLE = f"""\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

{NAME}
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— {NAME} Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— {NAME} opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""
"""Example of tlog-witness."""


def test_the_example_of_the_specification():
    request = AddCheckpoint.parse(EXAMPLE.encode())
    assert (request.old_size, len(request.proof)) == (20852014, 4)
    assert bytes(request) == EXAMPLE.encode()


@pytest.mark.parametrize(("old", "size"), [(0, 1), (0, 8), (1, 1), (1, 8), (3, 7), (8, 8)])
def test_what_continues_is_cosigned(old, size):
    request = AddCheckpoint.parse(bytes(witness_request(old, size)))
    answer = judge(request, LOGS, head(old) if old else None, WITNESS, 1793491200)
    assert answer.status is HTTPStatus.OK
    (line,) = cosignatures(answer.text, request.note, WITNESS.cosigner)
    assert cosigned_at(line) == 1793491200
    assert answer.cosigned == request.note.with_lines([line])
    assert answer.cosigned.signed_by([SIGNER.key, WITNESS.cosigner]) == (SIGNER.key, WITNESS.cosigner)


OTHER = signed(head(8, bytes(32)))


@pytest.mark.parametrize(
    ("request_", "latest", "status", "text"),
    [
        (witness_request(0, 8, signed(Checkpoint("x", 8, ROOTS[8]))), None, HTTPStatus.NOT_FOUND, "does not know"),
        (
            witness_request(0, 8, signed(head(8), Signer(SIGNER.key.name, bytes(32)))),
            None,
            HTTPStatus.FORBIDDEN,
            "no key",
        ),
        (AddCheckpoint(8, (), signed(head(7))), head(8), HTTPStatus.BAD_REQUEST, "larger"),
        (witness_request(0, 8), head(3), HTTPStatus.CONFLICT, "3\n"),
        (witness_request(3, 8), None, HTTPStatus.CONFLICT, "0\n"),
        (witness_request(3, 3), head(8), HTTPStatus.CONFLICT, "8\n"),
        (witness_request(8, 8, OTHER), head(8), HTTPStatus.CONFLICT, "8\n"),
        (AddCheckpoint(3, (bytes(32),), signed(head(8))), head(3), HTTPStatus.UNPROCESSABLE_ENTITY, "proof"),
        (witness_request(3, 8, OTHER), head(3), HTTPStatus.UNPROCESSABLE_ENTITY, "other roots"),
        (AddCheckpoint(0, (bytes(32),), signed(head(8))), None, HTTPStatus.UNPROCESSABLE_ENTITY, "too long"),
    ],
)
def test_nothing_else_is(request_, latest, status, text):
    answer = judge(request_, LOGS, latest, WITNESS, 1)
    assert (answer.status, answer.cosigned) == (status, None)
    assert text in answer.text
    assert (answer.content_type == SIZE_TYPE) is (status is HTTPStatus.CONFLICT)


@pytest.mark.parametrize(
    "octets",
    [b"", b"old 1\n", b"old 01\n\n", b"new 1\n\n", b"old 1\n!\n\n", b"\xff\n\n", b"old 1\n" + b"A" * 43 + b"=\n\n",
     EXAMPLE.replace("\n\n", "\n", 1).encode()],
)  # fmt: skip
def test_what_is_no_request_is_refused(octets):
    with pytest.raises(ProofError):
        AddCheckpoint.parse(octets)


def test_an_answer_without_the_witnesss_cosignature_on_this_text_is_none():
    for answer in ("", "x\n", str(SIGNER.sign("x\n")), str(Signer("w", bytes(32)).cosign("x\n", 1))):
        with pytest.raises(ProofError):
            cosignatures(answer, signed(head(8)), WITNESS.cosigner)
    with pytest.raises(ProofError, match="is not on this text"):
        cosignatures(str(WITNESS.cosign("x\n", 1)), signed(head(8)), WITNESS.cosigner)
