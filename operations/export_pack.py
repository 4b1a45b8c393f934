"""`idtone ledger export`: an evidence pack, or the request for one."""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import UsageError
from idtone.core.persons import acting_person
from idtone.core.settings.settings import Exports, load_settings
from idtone.core.terminal import command_line
from idtone.ledger.commands.options import LedgerOption, complete_call, responsible_person
from idtone.ledger.disclosure.pack_file import write_zip, zip_octets

from .make_pack import MadePack, approved_pack, basis_of, checked_case, make_pack, request_pack, require_keys


def export_pack(
    calls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CALL",
            help="Ids of calls, as `list` and `find` show them, or unique beginnings of ids.",
            autocompletion=complete_call,
        ),
    ] = None,
    case: Annotated[
        str | None,
        typer.Option("--case", metavar="REF", help="The case for which the pack is made. Recorded permanently."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The pack, a ZIP file; - writes it to standard output."),
    ] = None,
    to_stdout: command_line.StdoutOption = False,
    sealed: Annotated[bool, typer.Option("--sealed", help="Leave the telephone numbers sealed.")] = False,
    request: Annotated[
        str | None, typer.Option("--request", metavar="ID", help="Make the pack that was requested and approved.")
    ] = None,
    basis: Annotated[
        str | None,
        typer.Option(
            "--basis",
            metavar="WORD",
            help="The legal basis: inquiry, warrant, emergency, consent, or another word of ledger.legal_bases.",
        ),
    ] = None,
    authority: Annotated[
        str | None, typer.Option("--authority", metavar="TEXT", help="The authority that makes the demand.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="TEXT", help="The reference number of its document.")
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option("--scope", metavar="TEXT", help="A description of the demand, without telephone numbers."),
    ] = None,
    received: Annotated[
        str | None,
        typer.Option(
            "--received", metavar="TIME", help="When the demand arrived, such as 2026-11-26T10:00+09:00 or 2h."
        ),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option("--deadline", metavar="DAY", help="The day by which the authority wants an answer.")
    ] = None,
    court: Annotated[
        str | None, typer.Option("--court", metavar="TEXT", help="The court that has issued the warrant.")
    ] = None,
    valid_until: Annotated[
        str | None, typer.Option("--valid-until", metavar="DAY", help="The last day on which the warrant is valid.")
    ] = None,
    why: Annotated[
        str | None,
        typer.Option("--why", metavar="TEXT", help="Why the demand cannot wait for a document (emergency)."),
    ] = None,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Make an evidence pack of calls: records, proofs, sounds and a report, sealed with the ledger's key.

    The ledger records the export before the pack is written. Anyone who has the pack can verify it with
    `idtone-evidence verify pack`. The pack has the telephone numbers of these calls unless --sealed is given.

    The legal basis and its details (`ledger.legal_bases`) are recorded permanently in the ledger, the pack and its
    report. Do not write telephone numbers in these texts.

    If exports need two persons (`ledger.exports`), the command with CALL, --case and the basis records a request and
    prints its id. When another person has approved it (`idtone-evidence disclosure approve`), one of the two makes the
    pack with --request ID -o FILE.

    Under sudo the command cannot write into your home, but your shell can: --stdout > FILE.
    """
    output = command_line.chosen_output(output, to_stdout)
    settings = load_settings(config)
    require_keys(settings)
    two_persons = settings.ledger.exports is Exports.TWO_PERSONS
    demand = {
        "basis": basis, "authority": authority, "reference": reference, "scope": scope, "received": received,
        "deadline": deadline, "court": court, "valid_until": valid_until, "why": why,
    }  # fmt: skip
    if ledger is not None and (two_persons or request is not None):
        raise UsageError("--ledger is only for exports by one person; a request names calls in this node's own ledger")
    if request is not None:
        if calls or case is not None or sealed or any(each is not None for each in demand.values()):
            raise UsageError("--request already names calls, case and legal basis; give --request and -o alone")
        path = _writable(output)
        facts = _written(path, approved_pack(settings, responsible_person(settings.ledger), request))
    else:
        if not calls:
            raise UsageError("name the calls to export")
        case = checked_case(case)
        if two_persons and output:
            raise UsageError("exports take two persons here: leave out -o, and give it later, together with --request")
        legal = basis_of(settings, case, sealed, demand)
        if two_persons:
            facts = request_pack(settings, responsible_person(settings.ledger), case, calls, sealed, legal)
        else:
            path = _writable(output)
            facts = _written(path, make_pack(settings, acting_person(), case, calls, sealed, legal, ledger=ledger))
    with redirect_stdout(command_line.beside_output(output or Path())):
        if as_json:
            command_line.print_json(facts)
        else:
            print(*(f"{key:<8} {value}" for key, value in facts.items()), sep="\n")


def _writable(output: Path | None) -> Path:
    if output is None:
        raise UsageError("name the pack's file with -o")
    if output == command_line.STREAM:
        command_line.refuse_terminal()
        return output
    if not os.access(output.absolute().parent, os.W_OK):  # before it is recorded
        raise UsageError("{output}: cannot be written; name another file", output=output)
    return output


def _written(path: Path, pack: MadePack) -> dict[str, object]:
    if path == command_line.STREAM:
        command_line.write_out(zip_octets(pack.files))
    else:
        write_zip(path, pack.files)
    return {
        "pack": str(path),
        "calls": pack.calls,
        "record": pack.record,
        "sha256": pack.sha256,
        "log_key": pack.log_key,
    }
