"""The `idtone lines` commands, for the telephone numbers that each customer line may present."""

from idtone.core.terminal import command_line

app = command_line.group("The customers' lines: which endpoint or account code may present which numbers.")
command_line.add_commands(
    app,
    {
        "check": (
            "idtone.registry.customer_lines.commands.line_queries:check",
            "Find all faults of the table of lines, each with its place and remedy.",
        ),
        "show": (
            "idtone.registry.customer_lines.commands.line_queries:show",
            "Show the table of lines: all entries, those of one customer, or those of one number (last four "
            "digits only).",
        ),
        "decide": (
            "idtone.registry.customer_lines.commands.line_queries:decide",
            "Ask for a number, and show whether a line may present it, and why. Nothing is dialled or recorded.",
        ),
    },
)
