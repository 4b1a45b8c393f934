"""The commands of `idtone fleet`."""

from __future__ import annotations

from idtone import command_line

app = command_line.group("Several PBXs as one: their state, their settings, their upgrade.")
command_line.add_commands(
    app,
    {
        "key": (
            "idtone.fleet.commands.key:key",
            "Make the key by which the nodes of a fleet know each other's calls; all nodes have the same.",
        ),
    },
)
