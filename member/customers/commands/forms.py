"""`idtone-office form new | check | print`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import DocumentError, UsageError
from idtone.core.files import replace_durably, writing
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.translation import translated
from idtone.core.yaml_documents import parse, read_text

from ..blank_form import blank_form
from ..completeness import faults
from ..customer_form import CustomerForm, CustomerKind
from ..form_rules import load_rules
from . import clock

PRIVATE = 0o600
"""File mode of forms. Only the owner may read them, because they name people."""
FormArgument = Annotated[Path, typer.Argument(metavar="FORM", help="The form, a YAML file.")]
OutputOption = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The file to write.")]


def new(
    kind: Annotated[CustomerKind, typer.Argument(help="The kind of customer.")],
    id_: Annotated[str, typer.Option("--id", metavar="ID", help="The form's id, without the customer's name.")],
    output: OutputOption,
    config: command_line.ConfigOption = None,
) -> None:
    """Write an empty form for a kind of customer, with the fields that it needs.

    Fill it in, and check it with `idtone-office form check`. An existing file is not overwritten.
    """
    text = blank_form(kind, id_, load_rules(load_settings(config).customers.rules), clock.today())
    parse(text, "--id", CustomerForm)  # raises if the id is invalid
    if output.exists():
        raise UsageError("{path} exists already; name another file", path=output)
    _write(output, text.encode())
    print(f"{output}: {kind}")


def check(
    form: FormArgument, config: command_line.ConfigOption = None, as_json: command_line.JsonOption = False
) -> None:
    """Find all faults of a form, each with its line, its field, and the rule that demands it.

    The rules are in the file `customers.rules`, or in idtone's customer_rules.yaml. Exit 1: there are faults.
    """
    rules = load_rules(load_settings(config).customers.rules)
    text = read_text(form)
    try:
        found = parse(text, str(form), CustomerForm, lambda each: faults(each, rules, clock.today()))
    except DocumentError as error:
        if as_json:
            command_line.print_json(
                {"file": str(form), "good": False, "faults": [asdict(fault) for fault in error.faults]}
            )
        else:
            print(*(translated(str(fault)) for fault in error.faults), sep="\n")
            print(f"{form}: {translated(command_line.count_with_unit(len(error.faults), 'fault'))}")
        command_line.exit_negative()
    if as_json:
        command_line.print_json({"file": str(form), "good": True, "faults": [], "rules": rules.version})
    else:
        command_line.say(
            "{form}: good, a {kind} by the rules of {version}",
            form=form,
            kind=found.application.kind,
            version=rules.version,
        )


def print_form(
    output: OutputOption,
    form: Annotated[Path | None, typer.Argument(metavar="FORM", help="The form, a YAML file.")] = None,
    blank: Annotated[
        CustomerKind | None, typer.Option("--blank", help="An empty form for this kind of customer instead.")
    ] = None,
    config: command_line.ConfigOption = None,
) -> None:
    """Print a form as PDF, filled in or empty, to be signed by the customer.

    The form may be incomplete: `idtone-office form check` says what it lacks. Only you can read the PDF.
    """
    from idtone.core.paper.pdf import as_pdf  # takes time and memory that other commands do not need

    from ..form_paper import form_paper

    if (form is None) == (blank is None):
        raise UsageError("name a form, or --blank with a kind of customer")
    rules = load_rules(load_settings(config).customers.rules)
    filled = parse(read_text(form), str(form), CustomerForm).application if form else None
    kind = filled.kind if filled else blank
    assert kind is not None
    _write(output, as_pdf(form_paper(kind, filled, rules, clock.now())))
    print(f"{output}: {kind}")


def _write(path: Path, octets: bytes) -> None:
    with writing(path, UsageError, is_choice=True):
        replace_durably(path, octets, PRIVATE)
