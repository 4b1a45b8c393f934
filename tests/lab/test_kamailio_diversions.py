"""The PASSporT of a diversion (RFC 8946) that the shipped Kamailio adds with a key, checked by another JOSE."""

import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from lab.kamailio import Kamailio, find_or_get
from lab.kamailio_peers import KamailioWithPeers, new_peer

CERTIFICATE = "https://certificates.example.jp/div.pem"
SHAKEN = 'eyJ.eyJ.c2ln;info=<https://c.example.jp/a.pem>;alg=ES256;ppt="shaken"'
FRESH_S = 60
ANY_HEADER = JWSRegistry(algorithms=["ES256"], strict_check_header=False)


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def signing(key, tmp_path_factory) -> Iterator[KamailioWithPeers]:
    folder = tmp_path_factory.mktemp("signing")
    file = folder / "div.key"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    node, carrier = new_peer(), new_peer()
    with Kamailio(find_or_get(), folder / "sip", [node.address], [carrier.address], div=(file, CERTIFICATE)) as running:
        node.proxy = carrier.proxy = running.address
        yield KamailioWithPeers(running, [node], carrier)
    for each in (node, carrier):
        each.socket.close()


def identities(signing: KamailioWithPeers, dialled: str, **headers: str) -> list[str]:
    """Identity headers that the carrier gets."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    call = signing.call(signing.nodes[0], dialled, more)
    request = signing.carrier.next("INVITE", call)
    signing.carrier.answer(request, "486 Busy Here")
    signing.nodes[0].next("SIP/2.0 486", call)
    return re.findall(r"^Identity: (.*)\r$", request, re.MULTILINE)


DIVERSION = "<sip:0312345678@pbx.example.jp>;reason=unconditional"
SIGNED = {
    "national": ("09012345678", {"Diversion": DIVERSION}, ("819012345678", "81312345678", "815012345678")),
    "international": (
        "+12025550123",
        {"Diversion": "<sip:+81312345678@x>"},
        ("12025550123", "81312345678", "815012345678"),
    ),
    "an asserted caller": (
        "09012345678",
        {"Diversion": DIVERSION, "P_Asserted_Identity": "<sip:+81601234567@x>"},
        ("819012345678", "81312345678", "81601234567"),
    ),
}


@pytest.mark.parametrize("name", SIGNED)
def test_a_forwarded_call_that_was_signed_gets_a_div_passport(signing, key, name):
    dialled, headers, (dest, div, orig) = SIGNED[name]
    first, added = identities(signing, dialled, Identity=SHAKEN, **headers)
    assert first == SHAKEN
    token, *parameters = added.split(";")
    assert parameters == [f"info=<{CERTIFICATE}>", "alg=ES256", "ppt=div"]
    public = ECKey.import_key(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    read = jwt.decode(token, public, registry=ANY_HEADER)
    assert read.header == {"alg": "ES256", "ppt": "div", "typ": "passport", "x5u": CERTIFICATE}
    claims = dict(read.claims)
    assert abs(claims.pop("iat") - time.time()) < FRESH_S
    assert claims == {"dest": {"tn": [dest]}, "div": {"tn": div}, "orig": {"tn": orig}}
    octets = urlsafe_b64decode(token.split(".")[1] + "==").decode()
    assert octets == json.dumps(dict(read.claims), separators=(",", ":"), sort_keys=True), "RFC 8225, section 9"
    other = ECKey.import_key(
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(BadSignatureError):
        jwt.decode(token, other, registry=ANY_HEADER)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Identity": SHAKEN},
        {"Diversion": DIVERSION},
        {"Identity": SHAKEN, "Diversion": "<sip:anonymous@x>"},
        {"Identity": SHAKEN, "Diversion": '<sip:03"},"x":{"a":"1@x>'},
    ],
    ids=str,
)
def test_other_calls_get_none(signing, headers):
    assert identities(signing, "09012345678", **headers) == [each for each in [headers.get("Identity")] if each]
