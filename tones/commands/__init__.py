"""`idtone tone`: what sounds there are, what they are made of, and their files."""

from __future__ import annotations

from idtone import console

from .making import generate
from .profiles import list_profiles, show

app = console.group("Make and look at the sounds.")
app.command("list")(list_profiles)
app.command()(show)
app.command()(generate)
