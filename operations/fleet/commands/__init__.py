"""The `idtone-fleet` commands."""

from typing import Final

COMMANDS: Final = {
    "status": (
        "idtone.operations.fleet.commands.status:status",
        "Show the state of all nodes that share a PostgreSQL database, and what is wrong or differs. --watch "
        "updates it.",
    ),
    "wait": (
        "idtone.operations.fleet.commands.wait:wait",
        "Wait until all nodes use the newest registry and its suspensions. Exit 1: some nodes do not use it in time.",
    ),
    "calls": (
        "idtone.operations.fleet.commands.calls:calls",
        "List the calls in progress on all nodes, the oldest first.",
    ),
    "new-key": (
        "idtone.operations.fleet.commands.key:key",
        "Create the key with which the nodes of a fleet recognise each other's calls. All nodes use the same key.",
    ),
    "new-signing-key": (
        "idtone.operations.fleet.commands.sign_settings:signing_key",
        "Create the key that signs the settings of all nodes, and print the line for fleet.trust.",
    ),
    "sign": (
        "idtone.operations.fleet.commands.sign_settings:sign",
        "Sign the settings that all nodes share. Each edition gets a new version.",
    ),
    "diff": (
        "idtone.operations.fleet.commands.diff:diff",
        "Show how the settings of nodes, or of two files, differ. Exit 1: they differ.",
    ),
    "upgrade": (
        "idtone.operations.fleet.commands.upgrade:upgrade",
        "Upgrade the nodes one by one, without losing a call. Stop at the first fault.",
    ),
}
