"""`idtone registry decide --pack`: repeats the decisions on the calls in an evidence pack."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from idtone.core.errors import TrustError
from idtone.core.signed_notes import Algorithm
from idtone.core.terminal import command_line
from idtone.core.translation import translated
from idtone.ledger.commands.options import parse_key
from idtone.ledger.disclosure.pack_file import read_zip
from idtone.ledger.disclosure.pack_verification import verify_pack_files
from idtone.registry.commands.check_progress import checking

from .registry_decision import cell
from .registry_excerpts import RepeatedDecision, repeat_decision


def repeat_decisions(pack: Path, root: Path | None, log_key: str | None, as_json: bool) -> None:
    """Repeat the decisions on the calls in an evidence pack, and print the differences.

    Exits with 1 if a decision by the registry differs or cannot be repeated.
    """
    files = read_zip(pack)
    log = parse_key("--log-key", log_key, Algorithm.ED25519) if log_key else None
    verdict = verify_pack_files(files, log, now=datetime.now(UTC))
    faults = [translated(fault) for fault in verdict.faults]
    trusted = None
    if root is not None:
        from idtone.registry.trust.roots import read_root  # imports TUF, which takes time

        with checking():
            trusted = read_root(root)
    found: list[RepeatedDecision] = []
    for told in verdict.told:
        try:
            found.append(repeat_decision(files, told, trusted))
        except TrustError as error:
            found.append(RepeatedDecision(told.record, why=str(error)))
    if as_json:
        command_line.print_json({"faults": faults, "calls": list(map(_again, found))})
    else:
        print(*faults, *(line for each in found for line in _told(each)), sep="\n")
    if faults or not all(each.is_good for each in found):
        command_line.exit_negative()


def _again(one: RepeatedDecision) -> dict[str, Any]:
    record, decision = one.record, one.decision
    return {
        "call_id": record.call_id,
        "recorded": _decided(record),
        "repeated": _decided(decision) if decision else None,
        "same": one.is_same,
        "good": one.is_good,
        "why": one.why,
        "registry_version": record.registry_version,
        "registry_sha256": record.registry_sha256,
        "registry_trust": record.registry_trust,
        "signed_by_association": one.signed,
        "root_is_known": one.root_is_known,
    }


def _decided(made: Any) -> dict[str, Any]:
    names = ("outcome", "reason", "member", "wholesale_chain", "licence")
    return {name: getattr(made, name) for name in names}


def _told(one: RepeatedDecision) -> list[str]:
    record, decision = one.record, one.decision
    recorded = f"{record.outcome}, {record.reason}"
    if decision is None:
        return [f"{record.call_id}: {recorded}; not repeated: {one.why}"]
    lines = [f"{record.call_id}: {recorded}; {'the same again' if one.is_same else 'NOT THE SAME AGAIN'}"]
    if not one.is_same:
        lines += [
            f"  {name:<17} {cell(getattr(record, name))}, now {cell(again)}"
            for name, again in _decided(decision).items()
            if getattr(record, name) != again
        ]
    if not one.signed:
        words = "unsigned: these are the member's own words"
    elif one.root_is_known:
        words = "signed by the association"
    else:
        words = "signed; compare the root in the pack with the association's (--root)"
    return [*lines, f"  registry version {cell(record.registry_version)} {record.registry_sha256}: {words}"]
