"""Forges a version of a TUF role with some of the role's keys."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner

from idtone.registry.trust import tuf_roles
from lab.registry.trust.association import Association

Change = Callable[[dict[str, Any]], object]


def unchanged(signed: dict[str, Any]) -> None:
    pass


def latest(association: Association, role: str) -> Path:
    folder = association.repository / tuf_roles.METADATA
    if role == "timestamp":
        return folder / "timestamp.json"
    return max(folder.glob(f"*.{role}.json"), key=lambda path: int(path.name.partition(".")[0]))


def signatures(signers: Sequence[CryptoSigner], signed: dict[str, Any]) -> list[dict[str, Any]]:
    octets = encode_canonical(signed).encode()
    return [signer.sign(octets).to_dict() for signer in signers]


def forge(
    association: Association,
    role: str,
    change: Change = unchanged,
    signers: Sequence[CryptoSigner] | None = None,
    beside: Callable[[list[dict[str, Any]]], object] = len,
) -> None:
    """Publish a forged version of a role, and new metadata that lead to it.

    By default, all permitted keys sign it. `beside` changes the list of signatures.
    """
    signed = json.loads(latest(association, role).read_text())["signed"]
    signed["version"] += 1
    path = latest(association, role)
    if role != "timestamp":
        path = path.with_name(f"{signed['version']}.{role}.json")
    change(signed)
    made = signatures(association.signers(tuf_roles.ROLES[role].keys) if signers is None else signers, signed)
    beside(made)
    path.write_text(json.dumps({"signatures": made, "signed": signed}))
    version = signed["version"]
    if role in ("targets", *tuf_roles.DELEGATED):
        forge(association, "snapshot", lambda signed: signed["meta"].update({f"{role}.json": {"version": version}}))
    elif role == "snapshot":
        forge(association, "timestamp", lambda signed: signed["meta"].update({"snapshot.json": {"version": version}}))
