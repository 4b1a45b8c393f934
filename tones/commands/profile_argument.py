"""Selects the profile that a command line names."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import IdtoneError
from idtone.core.settings.settings import load_settings

from ..profile import Profile, load_profile
from ..profile_library import ProfileLibrary, load_library


def complete_profile(context: typer.Context, incomplete: str) -> list[str]:
    """The profile ids that begin with `incomplete`. If there are none, the shell completes file names."""
    with suppress(IdtoneError):
        return [name for name in load_configured_library(context.params.get("config")) if name.startswith(incomplete)]
    return []


ProfileArgument = Annotated[
    str,
    typer.Argument(metavar="PROFILE", help="A profile's id, or its YAML file.", autocompletion=complete_profile),
]


def load_configured_library(config: Path | None) -> ProfileLibrary:
    return load_library(load_settings(config).sounds.profiles)


def choose_profile(profile: str, config: Path | None) -> Profile:
    """The profile with this id or in this file. An argument with a slash or a YAML suffix is a file."""
    if "/" in profile or profile.endswith((".yaml", ".yml")):
        return load_profile(Path(profile))
    return load_configured_library(config).named(profile)
