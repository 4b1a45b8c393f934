"""`idtone tone list | show | lint`: shows the profiles, their structure, and warnings about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from idtone.core.errors import ToneError
from idtone.core.terminal import command_line
from idtone.core.terminal.command_line import ConfigOption, CsvOption, JsonOption, TsvOption
from idtone.core.translation import Message, translated

from ..lint import lint
from ..network_tones import resembled_tones
from ..notations import indications, tgml
from ..profile import CALL_LIMIT_MS, Profile, Segment
from ..showing.profile_drawing import draw_profile
from .inspect_sounds import profile_picture
from .profile_argument import ProfileArgument, choose_profile, load_configured_library

if TYPE_CHECKING:
    from rich.table import Table

_ROWS_LIMIT: Final = 20
"""Maximum number of bursts that `show` lists. An hour-long sound can have hundreds of thousands."""


def list_profiles(
    config: ConfigOption = None, json: JsonOption = False, csv: CsvOption = False, tsv: TsvOption = False
) -> None:
    """List the tone profiles: the shipped ones and those of sounds.profiles."""
    form = command_line.form(json, csv, tsv)
    known = load_configured_library(config)
    facts = [_summary(profile) | {"source": known.source(name)} for name, profile in known.items()]
    if form is command_line.Form.JSON:
        command_line.print_json(facts)
        return
    columns = ["id", "title", "standard", "duration_ms", "source"]
    rows = [[each[name] for name in columns] for each in facts]
    if form is command_line.Form.TABLE:
        columns[3] = "duration"
        for row in rows:
            row[3] = f"{row[3]:.10g} ms"
    command_line.Rows(columns, form, whole=("id",)).print(rows)


def show(profile: ProfileArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show the structure of a sound, and its tone string (Asterisk) and TGML (FreeSWITCH)."""
    chosen = choose_profile(profile, config)
    tone_string, asterisk_lost = _written(chosen, indications.to_asterisk, indications.conversion_losses)
    markup, freeswitch_lost = _written(chosen, tgml.to_tgml, tgml.conversion_losses)
    alike = resembled_tones(chosen)
    if json:
        command_line.print_json(
            _summary(chosen)
            | chosen.model_dump(mode="json", exclude={"id", "title", "standard"})
            | {
                "asterisk": {"tones": tone_string, "lost": asterisk_lost},
                "freeswitch": {"tgml": markup, "lost": freeswitch_lost},
                "resembles": alike,
            }
        )
        return
    print(f"{chosen.id}: {chosen.title}")
    level = f"{chosen.level_dbm0:g} dBm0 ({chosen.law})"
    command_line.say(
        "standard: {standard}, {level}, {duration_ms:.10g} ms",
        standard=_yes(chosen.standard),
        level=level,
        duration_ms=chosen.duration_ms,
    )
    for line in _other_properties(chosen):
        print(line)
    print()
    if chosen.segments:
        command_line.screen().print(_plan(chosen))
        bursts = chosen.repeat * sum(1 for segment in chosen.segments if segment.frequencies_hz)
        print(translated("… {count} more\n", count=bursts - _ROWS_LIMIT) if bursts > _ROWS_LIMIT else "")
    print(f"{draw_profile(chosen)}\n")
    if chosen.duration_ms <= CALL_LIMIT_MS:
        from rich.console import Console

        Console().print(profile_picture(chosen))
        print()
    for player, text, lost in (("Asterisk", tone_string, asterisk_lost), ("FreeSWITCH", markup, freeswitch_lost)):
        print(f"{player}: {text or translated('cannot be written as tones')}")
        for loss in lost:
            print(translated("  without {loss}", loss=loss) if text else f"  {loss}")
    for tone in alike:
        command_line.say("Warning: this sound can be mistaken for {tone}", tone=tone)


def lint_profile(profile: ProfileArgument, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Warn about unsuitable properties of a sound. Exit 1: there is a warning."""
    chosen = choose_profile(profile, config)
    findings = lint(chosen)
    if json:
        command_line.print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            place = Message("segment {number}", number=finding.segment) if finding.segment else chosen.id
            command_line.say(
                "{kind} {code}: {place} {finding}",
                kind=Message("warning") if finding.warning else Message("note"),
                code=finding.code,
                place=place,
                finding=finding.message,
            )
        if not findings:
            command_line.say("{id}: no warnings", id=chosen.id)
    if any(finding.warning for finding in findings):
        command_line.exit_negative()


def _written(
    profile: Profile, write: Callable[[Profile], str], lost: Callable[[Profile], tuple[str, ...]]
) -> tuple[str | None, tuple[str, ...]]:
    """The profile in a notation, and the properties that the notation cannot express.

    If the profile cannot be written at all, returns None and the reason.
    """
    try:
        return write(profile), lost(profile)
    except ToneError as error:
        return None, (str(error),)


def _summary(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id,
        "title": profile.title,
        "standard": profile.standard,
        "duration_ms": profile.duration_ms,
    }


def _other_properties(profile: Profile) -> list[str]:
    """The profile's properties that the table of bursts does not show, one per line."""
    tolerance = profile.tolerance
    level = f", level ±{tolerance.level_db:g} dB" if tolerance.level_db is not None else ""
    lines = [f"tolerance: frequency ±{tolerance.frequency_percent:g} %, times ±{tolerance.time_percent:g} %{level}"]
    if profile.recording:
        lines += [f"recording: {profile.recording}", f"sha256: {profile.sha256}"]
    if profile.trim:
        lines.append(f"trim: {profile.trim.from_ms:g} to {profile.trim.to_ms:g} ms")
    if profile.dither_seed is not None:
        lines.append(f"dither: seed {profile.dither_seed}")
    return lines


def _plan(profile: Profile) -> Table:
    from rich.table import Table

    table = Table("from", "to", "tone", "level", "ramps", box=None, pad_edge=False)
    for burst in islice(profile.timeline(), _ROWS_LIMIT):
        segment = burst.segment
        level = f"{profile.level_of(segment):g} dBm0"
        times = (f"{burst.start_ms:.10g} ms", f"{burst.end_ms:.10g} ms")
        table.add_row(*times, _tone(segment), level, f"{segment.ramp_ms:g} ms")
    return table


def _tone(segment: Segment) -> str:
    tone = _sum(segment.frequencies_hz)
    if segment.sweep:
        way = f"in {segment.sweep.steps} steps" if segment.sweep.steps else "gliding"
        tone += f" {way} to {_sum(segment.sweep.to_hz)}"
    if segment.modulation:
        tone += f", modulated at {segment.modulation.rate_hz:g} Hz to a depth of {segment.modulation.depth:g}"
    return tone


def _sum(frequencies_hz: tuple[float, ...]) -> str:
    return " + ".join(f"{frequency_hz:g}" for frequency_hz in frequencies_hz) + " Hz"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
