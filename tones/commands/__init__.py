"""`idtone tone`: what sounds there are, what they are made of, and their files."""

from __future__ import annotations

from idtone import console

from .looking import inspect_recording, play_target, plot_target
from .making import generate
from .profiles import lint_profile, list_profiles, show
from .verifying import verify

app = console.group("Make and look at the sounds.")
app.command("list")(list_profiles)
app.command()(show)
app.command("lint")(lint_profile)
app.command()(generate)
app.command()(verify)
app.command("inspect")(inspect_recording)
app.command("plot")(plot_target)
app.command("play")(play_target)
