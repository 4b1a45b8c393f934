"""Which profile a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from idtone.settings import load_settings

from ..library import Library, load_library
from ..profile import Profile, load_profile

ProfileArgument = Annotated[str, typer.Argument(metavar="PROFILE", help="A profile's id, or its YAML file.")]


def library(config: Path | None) -> Library:
    return load_library(load_settings(config).sounds.profiles)


def choose(profile: str, config: Path | None) -> Profile:
    """A profile by id or file: what holds a slash or ends like YAML is a file."""
    if "/" in profile or profile.endswith((".yaml", ".yml")):
        return load_profile(Path(profile))
    return library(config).named(profile)
