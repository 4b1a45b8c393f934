"""The `idtone registry` commands, which show and check the content of a registry."""

from idtone.core.terminal import command_line

app = command_line.group("The registry (YAML): licences for sounds and numbers, and suspended numbers.")
command_line.add_commands(
    app,
    {
        "check": (
            "idtone.registry.commands.registry_queries:check",
            "Find all faults of a registry, a suspensions.yaml or an application, each with its place and remedy.",
        ),
        "show": (
            "idtone.registry.commands.registry_queries:show",
            "Show a registry: its members, the state of their licences, and the suspensions (last four digits only).",
        ),
        "diff": (
            "idtone.registry.commands.diff:diff",
            "List the differences between two registries, or between two suspensions files. Exit 1: they differ.",
        ),
    },
)
