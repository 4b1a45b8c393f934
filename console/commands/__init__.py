"""Commands of `idtone console`."""

import typer

from idtone.core.terminal import command_line
from idtone.core.terminal.command_line import ConfigOption

app = command_line.group(
    "The console: pages in a browser. Without a command it serves them until SIGTERM or SIGINT.", lone=True
)


@app.callback(invoke_without_command=True)
def _console(context: typer.Context, config: ConfigOption = None) -> None:
    if command_line.runs_alone(context):
        from idtone.core.terminal.extras import require

        require("jinja2")  # the pages also import libraries of other extras, whose messages would come first

        from .serve import serve  # only this command needs a server

        serve(config)


command_line.add_commands(
    app,
    {
        "user": (
            "idtone.console.commands.users:user",
            "List the users and their roles; with NAME, add or change one, unlock or remove one.",
        ),
    },
)
