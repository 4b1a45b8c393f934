"""`idtone-evidence verify pack`: verifies an evidence pack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.files import read_octets
from idtone.core.signed_notes import Algorithm
from idtone.core.terminal import command_line
from idtone.core.terminal.extras import install_command
from idtone.core.translation import Message, joined, translated

from ..disclosure.disclosure_request import DisclosureRequest, RequestAnswer
from ..disclosure.legal_basis import basis_lines
from ..disclosure.log_registration import ROLES, LogRegistration
from ..disclosure.pack import ONE_PERSON, PackRecord
from ..disclosure.pack_file import read_zip
from ..disclosure.pack_verification import PackVerdict, verify_pack_files
from ..disclosure.report_files import report_faults
from ..disclosure.report_words import delivery_in_english
from ..evidence.format_rules import Breach, Rule, breach
from ..evidence.log_ends_given_up import act_words
from ..tiles.tile_source import TileSource, tile_source
from ..tiles.tiles_verification import verify_tiles
from .options import WitnessKeysOption, parse_key, read_roots

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

_METADATA_NAME: Final = re.compile(r"(?:([0-9]{1,9})\.)?(root|targets|registry)\.json")
"""The name of a TUF metadata file, with or without its version."""


def verify_pack(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="The pack, a ZIP file.")],
    log_key: Annotated[
        str | None,
        typer.Option("--log-key", metavar="VKEY", help="The member's verifier key, from another source than the pack."),
    ] = None,
    witness_keys: WitnessKeysOption = None,
    stamp_root: Annotated[
        Path | None,
        typer.Option(
            "--tsa-root",
            metavar="FILE",
            help="Root certificates (PEM) of a time-stamping authority; each tree needs its timestamp.",
        ),
    ] = None,
    two_persons: Annotated[
        bool,
        typer.Option("--two-persons", help="Require that one person requested the pack and another approved it."),
    ] = False,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            metavar="FILE",
            help="The association's root.json, from another source than the pack: its registry must name the log and "
            "enough witnesses.",
        ),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            "--registry", metavar="FOLDER", help="The association's current metadata: is the log's key still trusted?"
        ),
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(
            "--tiles", metavar="PLACE", help="The member's published tree: is a leaf of the pack's calls left out?"
        ),
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Verify an evidence pack and print its records. The command checks the seal, every file, each record's proof, the
    rules for leaves and times, and that the reports match the leaves.

    It needs only the pack. The registry in the pack names the log's owner and the witnesses that count. --root verifies
    that the association has signed that registry, and --registry compares it with today's. Only the whole tree shows
    that the pack has the last leaves of a call: --tiles (a folder or an https address) reads and verifies the whole
    tree too. Exit 1: something is wrong, a given witness has not cosigned, the log is not the member's, the log's key
    had expired before others saw the tree, or the pack lacks the approval that --two-persons demands.
    """
    log = parse_key("--log-key", log_key, Algorithm.ED25519) if log_key is not None else None
    witnesses = [parse_key("--witness-key", each, Algorithm.COSIGNATURE) for each in witness_keys or []]
    stamp_roots = read_roots(stamp_root) if stamp_root else []
    files = read_zip(pack)
    today = [_read_association_metadata(registry)] if registry else []
    trusted = _read_association_root(root) if root else None
    verdict = verify_pack_files(files, log, witnesses, datetime.now(UTC), stamp_roots, trusted, today)
    if not verdict.faults:
        verdict.faults += report_faults(files, verdict)
    if tiles is not None and verdict.log and not verdict.faults:
        verdict.faults += omitted_leaves(tile_source(tiles), verdict)
    missing = [each.name for each in witnesses if each not in verdict.cosigners]
    verdict.faults += [
        breach(Rule.COSIGNATURE, Message("{name} has not cosigned the tree", name=name)) for name in missing
    ]
    if two_persons and verdict.policy == ONE_PERSON:
        verdict.faults.append(breach(Rule.REQUEST_FORM, Message("the pack was made by one person alone")))
    if as_json:
        command_line.print_json(_report(verdict))
    else:
        _tell(verdict, bool(stamp_roots))
    if verdict.faults:
        command_line.exit_negative()


def omitted_leaves(source: TileSource, verdict: PackVerdict) -> Iterator[Breach]:
    """Leaves of a pack's calls that appear in the published tree but not in the pack.

    Each is reported as a violation. Raises LedgerError if the tree cannot be read.
    """
    assert verdict.log
    packed = {each.record.call_id: set(each.leaves) for each in verdict.told}
    kept = [("the pack", verdict.checkpoint)] if verdict.checkpoint else []
    missing: list[tuple[str, int]] = []

    def look(number: int, call_id: str) -> None:
        # Leaves written after the pack's tree was signed could not be in it.
        if number < verdict.leaves and number not in packed.get(call_id, {number}):
            missing.append((call_id, number))

    for text in verify_tiles(source, verdict.log, notes=kept, each=look).faults:
        yield breach(Rule.PROOF, Message("the published tree: {fault}", fault=text))
    for call_id, number in missing:
        gone = Message(
            "call {call_id}: leaf {number} of the published tree is left out", call_id=call_id, number=number
        )
        yield breach(Rule.LEAF_LEFT_OUT, gone)


def _report(verdict: PackVerdict) -> dict[str, object]:
    return {
        "good": not verdict.faults,
        "case": verdict.case,
        "exported": verdict.exported,
        "basis": verdict.basis.details() if verdict.basis else None,
        "log": str(verdict.log) if verdict.log else None,
        "log_is_known": verdict.log_is_known,
        "cosigners": [each.name for each in verdict.cosigners],
        "timestamps": {str(size): at.isoformat() for size, at in sorted(verdict.stamps.items())},
        **_registration(verdict.registration),
        "policy": verdict.policy,
        "requested": _answered(verdict.request),
        "approved": _answered(verdict.request.approval) if verdict.request else None,
        "records": [each.record.to_json() | {"leaves": each.leaves, "opened": _numbers(each)} for each in verdict.told],
        "faults": verdict.faults,
        "not_compared": list(verdict.not_compared),
        "rules": sorted({fault.rule for fault in verdict.faults}),
    }


def _registration(registration: LogRegistration) -> dict[str, object]:
    owner = registration.owner
    return {
        "log_named": None if registration.logs is None else owner is not None,
        "log_of": None
        if owner is None
        else {
            "member": owner.member,
            "name": {"ja": owner.japanese, "en": owner.english},
            "corporate_number": owner.corporate_number,
            "since": owner.term.since.isoformat(),
            "until": owner.term.until and owner.term.until.isoformat(),
        },
        "witness_policy": None
        if registration.logs is None
        else {
            "cosignatures": registration.required,
            "witnesses": registration.witnesses,
            "cosigned": registration.cosigners,
            "met": registration.is_met,
        },
        "registry": registration.logs.version if registration.logs else None,
        "association_verified": registration.is_verified,
    }


def _binding_lines(verdict: PackVerdict) -> Iterator[str]:
    registration = verdict.registration
    if not registration.is_read or (
        registration.logs is None and any(fault.rule is Rule.REGISTRY for fault in verdict.faults)
    ):
        yield Message("  whose log    not known: see the faults above")
        return
    if registration.logs is None:
        yield Message("  whose log    not known: no registry that counts says it")
        return
    if owner := registration.owner:
        name = f"{owner.japanese} / {owner.english}"
        yield Message("  whose log    {name} ({member})", name=name, member=owner.member)
        if owner.corporate_number:
            yield Message("               corporate number {number}", number=owner.corporate_number)
        if owner.term.until:
            yield Message("               its key is not believed from {until} on", until=owner.term.until.isoformat())
    else:
        yield Message("  whose log    NOT NAMED: the registry has no member with this key")
    if not registration.required:
        yield Message("  witnesses    the registry demands none")
    else:
        yield Message(
            "  witnesses    {verdict}: {required} of {witnesses}; cosigned in time by {cosigners}",
            verdict=Message("as demanded") if registration.is_met else Message("NOT as demanded"),
            required=registration.required,
            witnesses=", ".join(registration.witnesses),
            cosigners=", ".join(registration.cosigners) or "—",
        )
    yield Message(
        "               by the association's registry.json, version {version}", version=registration.logs.version
    )
    if not registration.is_verified:
        yield Message("               give the association's root with --root: its signatures were not verified")


def _answered(act: DisclosureRequest | RequestAnswer | None) -> dict[str, object] | None:
    if act is None:
        return None
    return {
        "act": act.act,
        "at": act.at.isoformat(),
        "by": act.by.name,
        "by_uid": act.by.uid,
        "by_way": act.by.known_by,
    }


def _numbers(told: PackRecord) -> dict[str, str]:
    return {role.value: number.e164 for role, number in told.numbers.items()}


def _print(line: str) -> None:
    print("".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in translated(line)))


def _tell(verdict: PackVerdict, stamps_verified: bool) -> None:
    for fault in verdict.faults:
        _print(fault)
    _print(
        Message(
            "{verdict}: case {case}, exported {exported}",
            verdict=Message("NOT GOOD") if verdict.faults else Message("good"),
            case=verdict.case,
            exported=verdict.exported,
        )
    )
    for name, text in basis_lines(verdict.basis).items():
        _print(f"  {command_line.pad_to_width(translated(name), 17)} {text}")
    _print(Message("  sealed by    {log}", log=verdict.log))
    if not verdict.log_is_known:
        _print(
            Message("               this key is from the pack itself: compare it with the key that the member gave you")
        )
    for line in _binding_lines(verdict):
        _print(line)
    for path in verdict.not_compared:
        _print(
            Message(
                "  {path} was not compared with the leaves: read report.html, or {command}",
                path=path,
                command=install_command("office"),
            )
        )
    for witness in verdict.cosigners:
        _print(Message("  cosigned by  {name}", name=witness.name))
    for size, at in sorted(verdict.stamps.items()):
        _print(Message("  timestamp    {at} on the tree of {size} leaves", at=at.isoformat(), size=f"{size:,}"))
    if verdict.stamps and not stamps_verified:
        _print(Message("               give the authority's root with --tsa-root: its signature was not verified"))
    if verdict.request and verdict.request.approval:
        approval = verdict.request.approval
        _print(Message("  requested by {by}, {at}", by=verdict.request.by, at=verdict.request.at.isoformat()))
        _print(Message("  approved by  {by}, {at}", by=approval.by, at=approval.at.isoformat()))
    elif verdict.policy == ONE_PERSON:
        _print(Message("  approved by  nobody: it was made by one person alone"))
    for each in verdict.told:
        record = each.record
        if words := act_words(record.steps[0]):
            _print(joined("", (f"  {record.call_id}: ", words)))
            continue
        sound = (
            Message("sound for {delivery}", delivery=delivery_in_english(record))
            if record.delivery
            else Message("no sound")
        )
        status = record.status or Message("interrupted")
        _print(joined("", (f"  {record.call_id}: {record.outcome}, {record.reason}, ", sound, ", ", status)))


def _read_association_root(path: Path) -> Metadata[Root]:
    """Read the association's root metadata from a file.

    Raises UsageError if the file contains anything else.
    """
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root

    try:
        found: Metadata[Root] = Metadata[Root].from_bytes(read_octets(path, UsageError))
        found.signed.verify_delegate("root", found.signed_bytes, found.signatures)
    except (RepositoryError, ValueError, AttributeError) as error:
        raise UsageError("{path}: is not the association's root; take its root.json", path=path) from error
    return found


def _read_association_metadata(folder: Path) -> dict[str, bytes]:
    """Read the association's current metadata about logs from a folder.

    Files are named ROLE.json or N.ROLE.json. If a role has several files, the one with the highest N is read. Raises
    UsageError if a role is missing.
    """
    found: dict[str, tuple[int, Path]] = {}
    for path in folder.glob("*.json"):
        if named := _METADATA_NAME.fullmatch(path.name):
            found[named[2]] = max(found.get(named[2], (-1, path)), (int(named[1] or 0), path))
    if missing := [f"{role}.json" for role in ROLES if role not in found]:
        raise UsageError(
            "{folder}: {name} is missing; take the folder `metadata` of the association's repository",
            folder=folder,
            name=missing[0],
        )
    try:
        return {f"{role}.json": path.read_bytes() for role, (_, path) in found.items()}
    except OSError as error:
        raise UsageError("{path}: cannot be read: {reason}", path=error.filename, reason=error.strerror) from error
