"""The root of the command line: the table of commands, each with the module that is imported when it is used."""

from typing import Final

from idtone.console.commands import app as console
from idtone.core.terminal import command_line
from idtone.ledger.commands import app as ledger
from idtone.registry.commands import app as registry
from idtone.registry.customer_lines.commands import app as lines
from idtone.tones.commands import app as tone

SERVICE: Final = "To set up the PBX, and to keep the service well"
STOPS: Final = "To stop calls, and to let them pass again"
READING: Final = "To see who may call, and what was done"
ARCHIVES: Final = "To keep the node's data"
SOUNDS: Final = "For engineers who make and measure sounds"

app = command_line.program(
    "The identification sound (識別音) on forwarded calls: licensed, played and recorded.",
    order=(
        "status", "doctor", "setup", "serve", "dialplan", "canary", "suspend", "suspensions", "brake", "registry",
        "lines", "ledger", "console", "backup", "restore", "tone",
    ),
)  # fmt: skip
hook = command_line.group("The hook in Asterisk's dialplan.")
brake = command_line.group("What the brake has marked, slowed or stopped while it happened.")
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
            "Show the state of the running service: Asterisk, calls, registry, evidence. --watch updates it "
            "every second.",
        ),
        "setup": (
            "idtone.operations.setup.commands:setup",
            "Prepare the PBX: ARI, the hook, settings, folders, the service. --undo reverts all changes.",
        ),
        "canary": (
            "idtone.operations.canary.commands:canary",
            "Call one of your own numbers through the trunk, and check the sound that arrives.",
        ),
        "doctor": (
            "idtone.operations.doctor.commands:doctor",
            "Check the PBX and everything that a call depends on, and explain how to correct faults. --fix "
            "corrects some.",
        ),
    },
    panel=SERVICE,
)
command_line.add_commands(
    app,
    {
        "suspend": (
            "idtone.operations.suspend_command:suspend",
            "Stop a number on this node at once (番号停止), or all numbers of a customer, when the police call you "
            "directly.",
        ),
    },
    panel=STOPS,
)
command_line.add_commands(
    app,
    {
        "backup": (
            "idtone.operations.backup.commands:backup",
            "Create an encrypted archive of this node: ledger, keys, registry, settings, forms, desk, console users.",
        ),
        "restore": (
            "idtone.operations.backup.commands:restore",
            "Restore a node from its archives: on this machine, into a folder (--into), or as a trial (--drill).",
        ),
    },
    panel=ARCHIVES,
)
for name, commands, panel in (
    ("dialplan", hook, SERVICE),
    ("suspensions", suspensions, STOPS),
    ("brake", brake, STOPS),
    ("registry", registry, READING),
    ("lines", lines, READING),
    ("ledger", ledger, READING),
    ("console", console, READING),
    ("tone", tone, SOUNDS),
):
    app.add_typer(commands, name=name, rich_help_panel=panel)

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
            "idtone.operations.import_sound_master:import_master",
            "Make a profile and all its sound files from a supplied recording, and check it by the registry.",
        ),
    },
)
command_line.add_commands(
    ledger,
    {
        "export": (
            "idtone.operations.export_pack:export_pack",
            "Make an evidence pack of calls: records, proofs, sounds and a report, sealed with the ledger's key.",
        ),
    },
)
command_line.add_commands(
    brake,
    {
        "list": (
            "idtone.operations.brake_commands:list_braked",
            "List what the brake has marked, slowed or stopped, newest first, even while the service is stopped.",
        ),
        "release": (
            "idtone.operations.brake_commands:release",
            "Release a line, customer, trunk or number, so that all nodes connect its calls again. The ledger "
            "records it.",
        ),
    },
)
command_line.add_commands(
    suspensions,
    {
        "list": (
            "idtone.operations.suspensions_commands:list_suspensions",
            "List this node's own suspensions, the newest last: their states, and what is still to be done.",
        ),
        "approve": (
            "idtone.operations.suspensions_commands:approve",
            "Approve a suspension that another person requested, or its end. It takes effect immediately.",
        ),
        "lift": (
            "idtone.operations.suspensions_commands:lift",
            "Lift a suspension that this node ordered: calls of its numbers pass again. The association's stay "
            "in force.",
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
