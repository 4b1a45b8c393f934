"""The root of `idtone-office`: the association's work, and a member's compliance work."""

from typing import Final

from idtone.core.terminal import command_line
from idtone.member.customers.commands import app as form
from idtone.member.customers.commands import customer
from idtone.member.evaluation.commands import app as evaluation
from idtone.member.misuse.commands import app as misuse
from idtone.member.reports.commands import app as report
from idtone.member.reports.commands import request
from idtone.office.commands import COMMANDS, GROUPS
from idtone.registry.correspondence.commands import app as document

MEMBER: Final = "For a member's office"
ASSOCIATION: Final = "For the association's office"
BOTH: Final = "For both"

app = command_line.program("The office's work on the identification sound (識別音): the association's, and a member's.")
nouns = {noun: command_line.group(summary) for noun, summary in GROUPS.items()}
for name, commands in nouns.items():
    app.add_typer(commands, name=name, rich_help_panel=ASSOCIATION)
for name, commands, panel in (
    ("report", report, BOTH),
    ("evaluation", evaluation, BOTH),
    ("form", form, MEMBER),
    ("customer", customer, MEMBER),
    ("misuse", misuse, MEMBER),
    ("request", request, MEMBER),
    ("document", document, MEMBER),
):
    app.add_typer(commands, name=name, rich_help_panel=panel)
nouns |= {"report": report, "evaluation": evaluation}
for words, command in COMMANDS.items():
    noun, _, verb = words.rpartition(" ")
    command_line.add_commands(nouns[noun] if noun else app, {verb: command}, panel=ASSOCIATION)


def main() -> None:
    """Entry point of the `idtone-office` command."""
    command_line.run(app)
