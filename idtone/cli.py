"""The root of the command line: the table of commands, each with the module that is imported when it is used."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from idtone.console.commands import app as console
from idtone.core.terminal import command_line
from idtone.ledger.commands import app as ledger
from idtone.operations.fleet.commands import app as fleet
from idtone.registry.commands import app as registry
from idtone.registry.lines.commands import app as lines
from idtone.tones.commands import app as tone

OPERATOR: Final = "For the PBX's operator"
ENGINEER: Final = "For engineers who make and measure sounds"
PROGRAMS: Final = "For Asterisk and systemd"

app = command_line.program("The identification sound (識別音) on forwarded calls: licensed, played and recorded.")
hook = command_line.group("The hook in Asterisk's dialplan.")
brake = command_line.group("What the brake has marked, slowed or stopped while it happened.")
backup = command_line.group(
    "Make an encrypted archive of this node: ledger, keys, registry, settings, forms, desk, console users.", lone=True
)
suspensions = command_line.group("This node's own suspensions (番号停止): those that `idtone suspend` has ordered.")

command_line.add_commands(
    app,
    {
        "serve": (
            "idtone.service.commands:serve",
            "Answer Asterisk's requests until SIGTERM or SIGINT. Calls in progress continue without the service.",
        ),
        "status": (
            "idtone.service.status_command:status",
            "Show the state of the running service: Asterisk, calls, registry, evidence. --watch shows it each second.",
        ),
        "setup": (
            "idtone.operations.setup.commands:setup",
            "Make the PBX ready: ARI, the hook, settings, folders, the service. --undo undoes it.",
        ),
        "suspend": (
            "idtone.operations.suspend_command:suspend",
            "Stop a number on this node at once (番号停止), or all numbers of a customer, when the police call you "
            "directly.",
        ),
        "restore": (
            "idtone.operations.backup.commands:restore",
            "Make a node of its archives: on this machine, or with --into in a folder.",
        ),
        "canary": (
            "idtone.operations.canary.commands:canary",
            "Call a number of your own through the trunk, and check the sound that arrives there.",
        ),
        "doctor": (
            "idtone.operations.doctor.commands:doctor",
            "Check the PBX and everything that a call depends on, and say how to correct faults. --fix corrects some.",
        ),
    },
    panel=OPERATOR,
)
for name, commands, panel in (
    ("dialplan", hook, OPERATOR),
    ("registry", registry, OPERATOR),
    ("ledger", ledger, OPERATOR),
    ("lines", lines, OPERATOR),
    ("brake", brake, OPERATOR),
    ("suspensions", suspensions, OPERATOR),
    ("backup", backup, OPERATOR),
    ("fleet", fleet, OPERATOR),
    ("console", console, OPERATOR),
    ("tone", tone, ENGINEER),
):
    app.add_typer(commands, name=name, rich_help_panel=panel)
command_line.add_commands(
    app,
    {
        "agi": (
            "idtone.agi.plain_agi_command:agi",
            "Pass Asterisk's request on to the service at agi.listen: AGI(/usr/bin/idtone-agi,ENTRY,ARGUMENT,…).",
        ),
        "failed": (
            "idtone.operations.failure_mail:failed",
            "Send a mail that a unit of systemd has failed, with the last lines of its log, by the machine's own "
            "sendmail.",
        ),
    },
    panel=PROGRAMS,
)

# A command that needs more than one room is not in the table of a room.
command_line.add_commands(
    registry,
    {
        "update": (
            "idtone.operations.registry_update:update",
            "Fetch what the association has published, and write the suspended and own numbers for Asterisk "
            "(fallback.conf).",
        ),
        "decide": (
            "idtone.operations.registry_decision:decide",
            "Show the decision for a call, and its reason. Nothing is dialled or recorded.",
        ),
    },
)
command_line.add_commands(
    tone,
    {
        "import": (
            "idtone.operations.master_import:import_master",
            "Make a profile and all its sound files from a supplied recording, and check it by the registry.",
        ),
    },
)
command_line.add_commands(
    ledger,
    {
        "export": (
            "idtone.operations.evidence_export:export_pack",
            "Make an evidence pack of calls: records, proofs, sounds and a report, sealed with the ledger's key.",
        ),
    },
    panel="Disclosure",
)
command_line.add_commands(
    ledger,
    {
        "move": (
            "idtone.operations.ledger_move:move",
            "Move this node's ledger to another folder: its files, the unit's rights, the settings. Run it as root.",
        ),
    },
    panel="Keeping the ledger",
)
command_line.add_commands(
    brake,
    {
        "list": (
            "idtone.operations.brake_commands:list_braked",
            "List what the brake has marked, slowed or stopped, the newest first, also while the service does not run.",
        ),
        "release": (
            "idtone.operations.brake_commands:release",
            "Release a line, customer, trunk or number: its calls pass again, on all nodes. It is recorded in the "
            "ledger.",
        ),
    },
)
command_line.add_commands(
    backup,
    {
        "drill": (
            "idtone.operations.backup.commands:drill",
            "Restore the newest archives into a scratch folder, verify them, and say how old the newest call in them "
            "is.",
        ),
        "key": (
            "idtone.operations.backup.commands:key",
            "Make a key pair: the secret key in a file, and the public key for backup.recipients on the terminal.",
        ),
    },
)


@backup.callback(invoke_without_command=True)
def _backup(
    context: typer.Context,
    due: Annotated[
        bool, typer.Option("--due", help="Only if the last backup is older than backup.every; the timer runs this.")
    ] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    if command_line.runs_alone(context):
        from idtone.operations.backup.commands import run

        run(due, config, as_json)


command_line.add_commands(
    suspensions,
    {
        "list": (
            "idtone.operations.suspensions_commands:list_suspensions",
            "List this node's own suspensions, the newest last: their states, and what is still to be done.",
        ),
        "approve": (
            "idtone.operations.suspensions_commands:approve",
            "Approve a suspension that another person has asked for, or its end: it counts at once.",
        ),
        "lift": (
            "idtone.operations.suspensions_commands:lift",
            "Lift a suspension of this node: calls of its numbers pass again. A suspension of the association stays in "
            "force.",
        ),
        "close": (
            "idtone.operations.suspensions_commands:close",
            "Close a duty that follows a stop: the contract is ended (契約解除), or the contractor is reported.",
        ),
        "paper": (
            "idtone.operations.suspensions_commands:paper",
            "Make the paper for the police: what was ordered, since when it is in force on this node, which calls were "
            "ended.",
        ),
        "verify-paper": (
            "idtone.operations.suspensions_commands:verify_paper",
            "Verify that a paper is what the ledger's key has signed. Exit 1: it is not.",
        ),
    },
)
command_line.add_commands(
    hook,
    {
        "export": (
            "idtone.operations.hook_export:export",
            "Write the hook, idtone.conf, to include from Asterisk's extensions.conf.",
        ),
    },
)


def main() -> None:
    """Entry point of the `idtone` command."""
    command_line.run(app)
