"""Packs whose registry names the owner of the log and the accepted witnesses (section 6.8)."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import SSlibKey

from idtone.core.signed_notes import Note, Signer

from ..example_pack import WITNESS
from ..sample_evidence import LOG, SEED
from .plans import AT, CALL, DECIDED, SECOND, SIGNER, STRANGER, Plan, S, canonical, leaf, numbers_of, step, time, tree

Said = dict[str, Any]
Row = tuple[str, str | None, Plan]
COSIGNED: Final = (AT // S + 5000) * S
"""Time at which the witness of `Plan` cosigned."""
EXPORTED: Final = AT + 7200 * S
ANNOUNCED: Final = AT + 1000 * 86400 * S
"""Time in the future of the verifiers."""
OPENED: Final = [{"call": CALL, "key": base64.b64encode(b"\5" * 32).decode(), "leaves": [0]}]
SECOND_TREE: Final = Signer(f"{LOG.name}.2", SEED)


def term(key: object, since: int = AT, until: int | None = None) -> Said:
    return {"key": str(key), "since": time(since), "until": None if until is None else time(until)}


def member(*logs: Said, name: str = "m-0001", **more: Any) -> Said:
    return {"member": name, "name": {"ja": "見本通信株式会社", "en": "Sample Telecom"}, "logs": list(logs), **more}


def logs(*members: Said, witnesses: tuple[Said, ...] = (term(WITNESS.cosigner),), cosignatures: int = 1) -> Said:
    return {"members": list(members), "witnesses": list(witnesses), "cosignatures": cosignatures}


def seal_of_the_second(text: str) -> Note:
    return Note(text, (SECOND_TREE.sign(text),))


OURS: Final = member(term(LOG))


Key = Ed25519PrivateKey | EllipticCurvePrivateKey
Keys = tuple[int | EllipticCurvePrivateKey, ...]


def keys(*numbers: int | EllipticCurvePrivateKey) -> dict[str, Key]:
    """Id → key. `numbers` are the bytes of the keys' seeds, or elliptic-curve keys as in tokens."""
    made = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) if isinstance(n, int) else n for n in numbers]
    return {SSlibKey.from_crypto(each.public_key()).keyid: each for each in made}


def _named(some: Mapping[str, Key]) -> Said:
    return {name: SSlibKey.from_crypto(key.public_key()).to_dict() for name, key in some.items()}


def _signature(key: Key, octets: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(octets)
    return key.sign(octets, ECDSA(SHA384() if key.key_size == 384 else SHA256()))


def _signed(signed: Said, by: Mapping[str, Key], bad: Mapping[str, Key] | None = None) -> bytes:
    """Signed metadata. The signatures of the keys in `bad` are for another text."""
    octets = encode_canonical(signed).encode()
    lines = [{"keyid": name, "sig": _signature(key, octets + b"x").hex()} for name, key in (bad or {}).items()]
    lines += [{"keyid": name, "sig": _signature(key, octets).hex()} for name, key in by.items()]
    return canonical({"signatures": lines, "signed": signed})


def metadata(
    said: Said | None,
    version: int = 7,
    own: int = 1,
    by: Keys = (3, 4),
    root_version: int = 1,
    named: Keys = (3, 4),
    bad: Keys = (),
) -> dict[str, bytes]:
    """Metadata of an association, with only the files that a verifier of 6.8 needs.

    The keys `own` and `own` + 1 sign its root. The root names the keys `named` for the registry, and the keys `by` sign
    the registry. The signatures of the keys in `bad` are for another text.
    """
    head = {"expires": "2036-01-01T00:00:00Z", "spec_version": "1.0.31"}
    roots, delegates = keys(own, own + 1), keys(*named)
    role = {"keyids": list(roots), "threshold": 2}
    root = {
        **head,
        "_type": "root",
        "consistent_snapshot": True,
        "keys": _named(roots),
        "roles": dict.fromkeys(("root", "snapshot", "targets", "timestamp"), role),
        "version": root_version,
    }
    delegation = {
        "keyids": list(delegates),
        "name": "registry",
        "paths": ["registry.yaml"],
        "terminating": True,
        "threshold": 2,
    }
    targets = {
        **head,
        "_type": "targets",
        "delegations": {"keys": _named(delegates), "roles": [delegation]},
        "targets": {},
        "version": 1,
    }
    custom = {"custom": {"numbers": "00" * 32, **({"logs": said} if said is not None else {})}}
    file = {"hashes": {"sha256": "00" * 32}, "length": 1, **custom}
    registry = {**head, "_type": "targets", "targets": {"registry.yaml": file}, "version": version}
    return {
        "root.json": _signed(root, roots),
        "targets.json": _signed(targets, roots),
        "registry.json": _signed(registry, keys(*by), keys(*bad)),
    }


ROOT: Final = metadata(None)["root.json"]


def of(
    said: Said | None,
    root: bytes | None = ROOT,
    at_export: Said | None = None,
    licence: bool = True,
    made: dict[str, bytes] | None = None,
    **parts: Any,
) -> Plan:
    """Plan of a pack with a call that this registry decided.

    `at_export` is the registry at the time of the export, if it is another one.
    """
    shown = made or metadata(said)
    digest = _digest(shown)
    held = {digest: shown}
    last = digest
    if at_export is not None:
        later = metadata(at_export, 8)
        last = _digest(later)
        held[last] = later
    more = {"licence": "L-0001", "member": "m-0001"} if licence else {}
    details = {**DECIDED, **numbers_of(CALL), "registry_sha256": digest, **more}
    leaves = tree()
    leaves[0] = leaf(CALL, step(1, "decided", details=details), step(4, "ended"))
    files = {
        f"registry/{name}.json": canonical(
            {
                "metadata": {role: base64.b64encode(octets).decode() for role, octets in each.items()},
                "numbers": {},
                "policy": {},
                "trust": "signed",
            }
        )
        for name, each in held.items()
    }
    return Plan(
        **{
            "leaves": leaves,
            "records": OPENED,
            "root": root,
            "touch": lambda made: made.update(files),
            "change": lambda made: made.update({"registry": last}),
            **parts,
        }
    )


def _digest(files: Mapping[str, bytes]) -> str:
    lines = (f"{hashlib.sha256(octets).hexdigest()}  {name}\n" for name, octets in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


TWO: Final = (term(WITNESS.cosigner), term(SECOND.cosigner))
BOTH: Final = [(WITNESS, COSIGNED // S), (SECOND, COSIGNED // S)]


def good_logs() -> Iterator[Row]:
    yield "the member's log", None, of(logs(OURS))
    yield (
        "the member's log, with its corporate number",
        None,
        of(logs(member(term(LOG), corporate_number="5000012010001"))),
    )
    yield "the member's log, without the association's root", None, of(logs(OURS), None)
    yield "the second of the member's logs", None, of(logs(member(term(STRANGER.key), term(LOG))))
    yield (
        "a tree that continues the member's log with its key",
        None,
        of(
            logs(OURS),
            text=lambda text: text.replace(LOG.name, SECOND_TREE.key.name),
            log_lines=lambda text: [SECOND_TREE.sign(text)],
            log_key=str(SECOND_TREE.key),
            change=lambda made: made.update(log_key=str(SECOND_TREE.key)),
            seal=seal_of_the_second,
        ),
    )
    yield "two of two witnesses", None, of(logs(OURS, witnesses=TWO, cosignatures=2), cosigned=BOTH)
    yield "one of two witnesses", None, of(logs(OURS, witnesses=TWO))
    yield "no witness is demanded", None, of(logs(OURS, witnesses=(), cosignatures=0), cosigned=[], witnesses=[])
    yield "a witness with a new key", None, of(logs(OURS, witnesses=(term(SECOND.cosigner, AT, COSIGNED), *TWO[:1])))
    yield "cosigned before the key had expired", None, of(logs(member(term(LOG, AT, COSIGNED + S))))
    yield "a registry that names no logs", None, of(None, None)
    yield "a member without logs, and no root", None, of(logs(member(term(STRANGER.key), name="m-0002")), None)
    yield "too few witnesses, without the association's root", None, of(logs(OURS, witnesses=TWO, cosignatures=2), None)
    yield (
        "a call without a licence in another member's log",
        None,
        of(logs(member(term(LOG), name="m-0002")), licence=False),
    )
    yield "entered between the call and the export", None, of(None, at_export=logs(OURS))
    yield (
        "an end of the key that is announced",
        None,
        of(logs(member(term(LOG, AT, ANNOUNCED)), cosignatures=0), cosigned=[], witnesses=[]),
    )
    yield "the log's term begins with the export", None, of(logs(member(term(LOG, EXPORTED)), cosignatures=0))
    yield "named by today's registry alone", None, of(None, later=metadata(logs(OURS)))
    yield (
        "a bad signature beside two of three keys",
        None,
        of(logs(OURS), made=metadata(logs(OURS), named=(3, 4, 5), bad=(5,))),
    )
    yield "the association's later root", None, of(logs(OURS), made=metadata(logs(OURS), root_version=2))


def bad_logs() -> Iterator[Row]:
    yield "another key by the log's name", "log-member", of(logs(member(term(Signer(LOG.name, b"\7" * 32).key))))
    yield "another key, without the association's root", "log-member", of(logs(member(term(STRANGER.key))), None)
    yield "the log's key by another name", "log-member", of(logs(member(term(Signer("other", SEED).key))))
    yield "the log's key by a longer name", "log-member", of(logs(member(term(Signer(f"{LOG.name}.2", SEED).key))))
    yield "another member's log", "log-member", of(logs(member(term(LOG), name="m-0002")))
    yield (
        "another member's log, without the association's root",
        "log-member",
        of(logs(member(term(LOG), name="m-0002")), None),
    )
    yield "a log that no member has", "log-member", of(logs(), licence=False)
    yield "a registry that names no logs, and a root", "log-member", of(None)
    yield "one of two witnesses that both must cosign", "witness-policy", of(logs(OURS, witnesses=TWO, cosignatures=2))
    yield "a witness that does not count", "witness-policy", of(logs(OURS, witnesses=TWO[1:]))
    yield (
        "one witness with two keys",
        "witness-policy",
        of(
            logs(OURS, witnesses=(*TWO[:1], term(Signer(WITNESS.key.name, b"\7" * 32).cosigner)), cosignatures=2),
            cosigned=[(WITNESS, COSIGNED // S), (Signer(WITNESS.key.name, b"\7" * 32), COSIGNED // S)],
        ),
    )
    yield (
        "cosigned when the witness did not count any more",
        "witness-policy",
        of(logs(OURS, witnesses=(term(WITNESS.cosigner, AT, COSIGNED),))),
    )
    yield (
        "cosigned before the witness counted",
        "witness-policy",
        of(logs(OURS, witnesses=(term(WITNESS.cosigner, COSIGNED + S),))),
    )
    yield "cosigned before the log was the member's", "witness-policy", of(logs(member(term(LOG, COSIGNED + S))))
    yield "cosigned when the key had expired", "log-until", of(logs(member(term(LOG, AT, COSIGNED))), None)
    yield (
        "the key had expired, and one of two had seen it",
        "log-until",
        of(logs(member(term(LOG, AT, COSIGNED + S)), witnesses=TWO, cosignatures=2), None),
    )
    yield (
        "the key had expired, and no witness counts",
        "log-until",
        of(logs(member(term(LOG, AT, COSIGNED + S)), witnesses=(), cosignatures=0), None),
    )
    yield (
        "over by the registry at the time of the export",
        "log-until",
        of(logs(OURS), at_export=logs(member(term(LOG, AT, COSIGNED)))),
    )
    yield (
        "over by the registry of today",
        "log-until",
        of(logs(OURS), later=metadata(logs(member(term(LOG, AT, COSIGNED))), 9)),
    )
    yield (
        "a bad line of a witness that counts",
        "cosignature",
        of(
            logs(OURS, witnesses=TWO),
            log_lines=lambda text: [SIGNER.sign(text), SECOND.cosign(text + "x\n", COSIGNED // S)],
        ),
    )
    for root in (ROOT, None):
        yield (
            f"over by the registry of today, and the pack has a later version, {'a' if root else 'no'} root",
            "log-until",
            of(
                logs(OURS, cosignatures=0),
                root,
                made=metadata(logs(OURS, cosignatures=0), 99),
                later=metadata(logs(member(term(LOG, AT, COSIGNED)), cosignatures=0), 9),
            ),
        )
    yield (
        "over by the registry of today, and the pack has another of that version",
        "log-until",
        of(logs(OURS), None, made=metadata(logs(OURS), 9), later=metadata(logs(member(term(LOG, AT, COSIGNED))), 9)),
    )
    yield "named by the pack's registry, and not by today's", "log-member", of(logs(OURS), later=metadata(None))
    yield (
        "the pack's registry by another association, and one of today",
        "registry",
        of(logs(OURS), made=metadata(logs(OURS), own=9), later=metadata(logs(OURS), 9)),
    )
    yield (
        "the log's term begins after the export",
        "log-member",
        of(logs(member(term(LOG, EXPORTED + S)), cosignatures=0), None),
    )
    yield "signed by another association", "registry", of(logs(OURS), made=metadata(logs(OURS), own=9))
    yield "signed by one key of two", "registry", of(logs(OURS), made=metadata(logs(OURS), by=(3,)))
    yield (
        "a bad signature beside one of three keys",
        "registry",
        of(logs(OURS), made=metadata(logs(OURS), by=(3,), named=(3, 4, 5), bad=(5,))),
    )
    yield "signed by keys of others", "registry", of(logs(OURS), made=metadata(logs(OURS), by=(5, 6)))
    yield "signed by one key twice", "registry", of(logs(OURS), made=metadata(logs(OURS), by=(3, 3)))
    yield "today's registry by another association", "registry", of(logs(OURS), later=metadata(logs(OURS), 9, own=9))
    yield "a witness's key as a log's", "registry", of(logs(member(term(WITNESS.cosigner))))
    yield "a log's key as a witness's", "registry", of(logs(OURS, witnesses=(term(WITNESS.key),)))
    yield "a term without an end", "registry", of(logs(member({"key": str(LOG), "since": time(AT)})))
    yield "a term with a day", "registry", of(logs(member({**term(LOG), "since": "2026-11-01"})))
    yield "a number of cosignatures that is none", "registry", of({**logs(OURS), "cosignatures": "1"})
    yield (
        "no witnesses at all",
        "registry",
        of({name: value for name, value in logs(OURS).items() if name != "witnesses"}),
    )


__all__ = ["bad_logs", "good_logs"]
