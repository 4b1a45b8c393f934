"""`idtone tone list | show`: what sounds there are and what they are made of."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from idtone import console
from idtone.console import ConfigOption, JsonOption
from idtone.errors import ToneError

from ..drawing import draw
from ..indications import losses, to_asterisk
from ..network_tones import resembled
from ..profile import Profile
from .choice import ProfileArgument, choose, library


def list_profiles(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the tone profiles: the shipped ones and those of sounds.profiles."""
    known = library(config)
    if json:
        console.print_json([_summary(profile) | {"source": known.source(name)} for name, profile in known.items()])
        return
    title = Column("title", overflow="fold")
    table = Table("id", title, "standard", "duration", "source", box=None, pad_edge=False)
    for name, profile in known.items():
        row = (name, profile.title, _yes(profile.standard), f"{profile.duration_ms:g} ms", known.source(name))
        table.add_row(*map(escape, row))
    Console().print(table)


def show(profile: ProfileArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show what a sound is made of, and Asterisk's tone string for it."""
    chosen = choose(profile, config)
    try:
        tone_string, lost = to_asterisk(chosen), losses(chosen)
    except ToneError as error:
        tone_string, lost = None, (str(error),)
    alike = resembled(chosen)
    if json:
        plan = chosen.model_dump(mode="json", include={"level_dbm0", "segments", "repeat"})
        asterisk = {"tones": tone_string, "lost": lost}
        console.print_json(_summary(chosen) | plan | {"asterisk": asterisk, "resembles": alike})
        return
    print(f"{chosen.id}: {chosen.title}")
    print(f"standard: {_yes(chosen.standard)}, {chosen.level_dbm0:g} dBm0, {chosen.duration_ms:g} ms\n")
    Console().print(_plan(chosen))
    print(f"\n{draw(chosen)}\n")
    print(f"Asterisk: {tone_string or 'cannot be written as a tone string'}")
    for loss in lost:
        print(f"  without {loss}" if tone_string else f"  {loss}")
    for tone in alike:
        print(f"Warning: this could be taken for {tone}")


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id,
        "title": profile.title,
        "standard": profile.standard,
        "duration_ms": profile.duration_ms,
    }


def _plan(profile: Profile) -> Table:
    table = Table("from", "to", "tone", "ramps", box=None, pad_edge=False)
    for burst in profile.bursts():
        segment = burst.segment
        tone = " + ".join(f"{frequency_hz:g}" for frequency_hz in segment.frequencies_hz) + " Hz"
        if segment.modulation:
            tone += f", modulated at {segment.modulation.rate_hz:g} Hz to a depth of {segment.modulation.depth:g}"
        table.add_row(f"{burst.start_ms:g} ms", f"{burst.end_ms:g} ms", tone, f"{segment.ramp_ms:g} ms")
    return table


def _yes(value: bool) -> str:
    return "yes" if value else "no"
