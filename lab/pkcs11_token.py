"""A PKCS#11 library with a token (SoftHSM) that never reveals its keys."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters

from . import packages

PIN: Final = "987654"
EDWARDS: Final = "1.3.101.112"
P256: Final = "secp256r1"


@contextmanager
def softhsm(folder: Path, label: str) -> Iterator[Path]:
    """Context with the path of a library whose only token is in `folder`.

    A process that loads the library later finds the token through the environment.
    """
    root = _unpacked()
    library = root / "usr/lib/softhsm/libsofthsm2.so"
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}\nlog.level = ERROR\n")
    make = [*packages.command(root, "usr/bin/softhsm2-util"), "--module", str(library), "--init-token", "--free"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        subprocess.run([*make, "--label", label, "--so-pin", PIN, "--pin", PIN], check=True, stdout=subprocess.DEVNULL)
        yield library
        pkcs11.unload(str(library))


@cache  # the check that it is complete takes as long as everything else here
def _unpacked() -> Path:
    return packages.unpacked_tree("softhsm2")


def new_key(library: Path, label: str, number: int, curve: str) -> None:
    """Create a key in the token, as a vendor's program does."""
    with pkcs11.lib(str(library)).get_token(token_label=label).open(rw=True, user_pin=PIN) as session:
        kind, way = (KeyType.EC_EDWARDS, Mechanism.EC_EDWARDS_KEY_PAIR_GEN) if curve == EDWARDS else (KeyType.EC, None)
        parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
        made = session.create_domain_parameters(kind, parameters, local=True)
        made.generate_keypair(mechanism=way, store=True, id=bytes([number]))
