"""RFC 9497's test vectors for ristretto255-SHA512 in all three modes (appendix A.1), and encodings that are not
elements.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from idtone.core.errors import TrustError
from idtone.member.customers.refused import ristretto255 as group
from idtone.member.customers.refused.oprf import VOPRF, KeyPair, Mode, Suite

VECTORS = [
    (suite, vector)
    for suite in json.loads(Path(__file__).with_name("rfc9497_a1.json").read_text())
    for vector in suite["vectors"]
]


def octets(text: str) -> list[bytes]:
    return [bytes.fromhex(each) for each in text.split(",")]


@pytest.mark.parametrize(("given", "vector"), VECTORS, ids=lambda each: str(each.get("mode", each.get("Batch"))))
def test_the_vectors_of_the_rfc(given: dict[str, Any], vector: dict[str, Any]):
    suite = Suite(Mode(given["mode"]))
    keys = suite.derive_key_pair(*octets(given["seed"]), *octets(given["keyInfo"]))
    assert keys.secret.hex() == given["skSm"]
    assert given.get("pkSm") in (None, keys.public.hex())
    info = bytes.fromhex(vector["Info"]) if "Info" in vector else None
    blinded = [suite.blind(*both) for both in zip(octets(vector["Input"]), octets(vector["Blind"]), strict=True)]
    sent, evaluation = [each.element for each in blinded], octets(vector["EvaluationElement"])
    assert sent == octets(vector["BlindedElement"])
    if info is None:
        assert suite.evaluate(keys.secret, sent) == evaluation
        before, after = sent, evaluation
    else:  # the key is tweaked by the public input, and the roles of the two lists change (3.3.3)
        tweak = suite.hash_to_scalar(b"Info" + len(info).to_bytes(2, "big") + info)
        total = int.from_bytes(keys.secret, "little") + int.from_bytes(tweak, "little")
        secret = (total % group.ORDER).to_bytes(group.BYTES, "little")
        assert suite.evaluate(group.inverse_scalar(secret), sent) == evaluation
        keys = KeyPair(secret, group.multiply_base(secret))
        before, after = evaluation, sent
    if "Proof" in vector:
        nonce, proof = bytes.fromhex(vector["Proof"]["r"]), bytes.fromhex(vector["Proof"]["proof"])
        assert suite.prove(keys, before, after, lambda: nonce) == proof
        suite.verify(keys.public, before, after, proof)
    outputs = [suite.finalize(*both, info) for both in zip(blinded, evaluation, strict=True)]
    assert outputs == octets(vector["Output"])
    if info is None:
        assert [suite.output(keys.secret, each.input) for each in blinded] == outputs


NO_ELEMENTS = """
    0000000000000000000000000000000000000000000000000000000000000000
    00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
    ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
    f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
    edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
    0100000000000000000000000000000000000000000000000000000000000000
    01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
    ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20
    26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371
    4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f
    3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e
    a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220
    e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d
""".split()
"""Encodings to refuse: the identity, a bad encoding of each kind in RFC 9496 (A.2), and the generator without its last
byte.
"""


@pytest.mark.parametrize("encoded", NO_ELEMENTS)
def test_what_is_no_element_is_not_evaluated(encoded):
    with pytest.raises(TrustError, match="not an element"):
        VOPRF.evaluate(group.random_scalar(), [group.random_element(), bytes.fromhex(encoded)])


KEYS, OTHER = VOPRF.derive_key_pair(b"1" * 32, b""), VOPRF.derive_key_pair(b"2" * 32, b"")
SENT = [VOPRF.blind(b"one").element, VOPRF.blind(b"two").element]
EVALUATED = VOPRF.evaluate(KEYS.secret, SENT)
PROOF = VOPRF.prove(KEYS, SENT, EVALUATED)
FORGED = VOPRF.evaluate(OTHER.secret, SENT)


OTHERS = {
    "another key": (OTHER.public, EVALUATED, PROOF),
    "by another key": (KEYS.public, FORGED, VOPRF.prove(OTHER, SENT, FORGED)),
    "another's values": (KEYS.public, FORGED, PROOF),
    "one other value": (KEYS.public, [EVALUATED[0], FORGED[1]], PROOF),
    "in another order": (KEYS.public, EVALUATED[::-1], PROOF),
    "one too few": (KEYS.public, EVALUATED[:1], PROOF),
    "a short proof": (KEYS.public, EVALUATED, PROOF[:-1]),
    "another proof": (KEYS.public, EVALUATED, PROOF[:-1] + bytes([PROOF[-1] ^ 1])),
    "no proof": (KEYS.public, EVALUATED, bytes(64)),
    "no scalars": (KEYS.public, EVALUATED, b"\xff" * 64),
}


@pytest.mark.parametrize(("public", "evaluated", "proof"), OTHERS.values(), ids=OTHERS.keys())
def test_another_evaluation_is_refused(public, evaluated, proof):
    with pytest.raises(TrustError):
        VOPRF.verify(public, SENT, evaluated, proof)


def test_without_libsodium_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(group, "_LIBRARIES", ("libno-such-library.so.1",))
    with pytest.raises(TrustError, match="libsodium23"):
        group._loaded()


def test_libsodium_never_gets_an_input_of_another_size():
    for function, sizes in group._INPUTS.items():
        if sizes:
            with pytest.raises(TrustError):
                group._made(function, *(bytes(size - 1) for size in sizes))
