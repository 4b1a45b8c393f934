"""`idtone registry`: what a registry says."""

from __future__ import annotations

from idtone import console

app = console.group("The registry (YAML): who may play which sound for which number, and which numbers are stopped.")
console.add_commands(
    app,
    {
        "check": (
            "idtone.registry.commands.consulting:check",
            "Find every fault of a registry, a suspensions.yaml or an application at once, each with its place and "
            "remedy.",
        ),
        "show": (
            "idtone.registry.commands.consulting:show",
            "Show a registry: its members, how their licences stand now, and the suspensions (last four digits only).",
        ),
        "decide": (
            "idtone.registry.commands.consulting:decide",
            "Say what would happen to a call, and why. Nothing is dialled and nothing recorded.",
        ),
        "update": (
            "idtone.registry.commands.consulting:update",
            "Look for what the association has published, as the service does by itself, and say what is known here "
            "now.",
        ),
        "diff": (
            "idtone.registry.commands.diff:diff",
            "List the differences between two registries, or two files of suspensions. Exit 1: there are some.",
        ),
        "operators": (
            "idtone.registry.commands.operators:operators",
            "Verify the association's public list of licensed operators, and show it.",
        ),
    },
)
