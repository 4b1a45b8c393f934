"""The receiving office's signature on an evidence pack, made with OpenSSL.

Any office with a key can sign: `openssl dgst -sha256 -sign office.key -out pack.sig pack.zip`. A signed note (C2SP)
would require idtone at the office. CMS (RFC 5652) would require a library for verification and would prove no more,
because the office's key must come from another source in either case.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from idtone.core.errors import ProofError

_RSA_BITS: Final = 2048
"""Minimum RSA key length in bits."""


def office_key_digest(pack: bytes, signature: bytes, key: bytes) -> str:
    """Verify an office's signature on a pack, and return the SHA-256 of its public key.

    The digest covers the key in DER (SubjectPublicKeyInfo). `key` is a public key or a certificate in PEM, for RSA with
    PKCS #1 v1.5 or for ECDSA, both over SHA-256. Raises ProofError.
    """
    try:
        public = load_pem_x509_certificate(key).public_key() if b"CERTIFICATE" in key else load_pem_public_key(key)
        if isinstance(public, RSAPublicKey) and public.key_size >= _RSA_BITS:
            public.verify(signature, pack, padding.PKCS1v15(), SHA256())
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, pack, ec.ECDSA(SHA256()))
        else:
            raise ProofError(
                "the office's key is of another kind: RSA from {bits} bits, or ECDSA, is meant", bits=_RSA_BITS
            )
    except InvalidSignature as error:
        raise ProofError("the signature is not by this key on this pack") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ProofError("the office's key is neither a public key nor a certificate in PEM") from error
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
