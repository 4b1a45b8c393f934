"""`idtone console`: the table of its commands."""

from __future__ import annotations

import typer

from idtone.core.terminal import command_line
from idtone.core.terminal.command_line import ConfigOption

app = command_line.group(
    "The console: pages in a browser. Without a command it serves them until SIGTERM or SIGINT.", lone=True
)
user = command_line.group("Who may use the console.")


@app.callback(invoke_without_command=True)
def _console(context: typer.Context, config: ConfigOption = None) -> None:
    if command_line.runs_alone(context):
        from .serve import serve  # only this command needs a server

        serve(config)


command_line.add_commands(
    user,
    {
        "add": (
            "idtone.console.commands.users:add",
            "Add a user, or change a user's roles, password or second factor.",
        ),
        "list": ("idtone.console.commands.users:list_users", "List the users and their roles."),
        "unlock": ("idtone.console.commands.users:unlock", "Let a locked user sign in again."),
        "remove": ("idtone.console.commands.users:remove", "Remove a user. The user's sessions end."),
    },
)
app.add_typer(user, name="user")
