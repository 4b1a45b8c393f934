"""`idtone tone inspect | plot | play`: measures, draws and plays a recording or a profile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from idtone.core.errors import ToneError, UsageError
from idtone.core.terminal import command_line
from idtone.core.terminal.command_line import ConfigOption, JsonOption
from idtone.core.terminal.progress import progress
from idtone.core.translation import translated

from ..measuring.levels import SILENCE_DB
from ..profile import Law, Profile
from .profile_argument import choose_profile, complete_profile

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..measuring.inspection import Inspection, MeasuredBurst
    from ..recordings.recorded_leg import RecordedLeg
    from ..showing.plotting import Panel

_SYNTHESIS_RATE_HZ: Final = 16_000
_PLAYED_RATE_HZ: Final = 48_000
"""Sample rate for playback, which every sound device supports."""
_SHOWN_AFTER_S: Final = 1.0
_SHOWN_LIMIT_MS: Final = 600_000
"""Maximum duration of a profile that is drawn or played, in ms."""

RecordingArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A recording of a call, a capture of RTP or any other audio file.")
]
TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A recording, or a profile: its id, or its YAML file.",
        autocompletion=complete_profile,
    ),
]


def inspect_recording(
    file: RecordingArgument,
    law: Annotated[Law, typer.Option(help="The law that defines 0 dBm0.")] = Law.A,
    json: JsonOption = False,
) -> None:
    """Measure a recording: its levels, its faults and every burst of tone."""
    from ..measuring.inspection import inspect
    from ..recordings.read_recording import read_recording

    read_legs = read_recording(file)
    with _progress(len(read_legs)) as measured:
        legs = [
            (leg, inspect(leg.samples, leg.sample_rate_hz, law, partial(measured, index)))
            for index, leg in enumerate(read_legs)
        ]
    if json:
        command_line.print_json([_as_json(leg, inspection) for leg, inspection in legs])
        return
    screen = command_line.screen()
    for index, (leg, inspection) in enumerate(legs):
        if index:
            screen.print()
        _print(screen, leg, inspection)


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int, float], None]]:
    """Show a progress bar after the first second if standard error is a terminal.

    The yielded function takes a leg's index and the completed share of that leg (0 to 1).
    """
    began_s = time.monotonic()
    with progress() as bar:
        task = bar.add_task("measuring", total=count, visible=False)

        def measured(leg: int, share: float) -> None:
            bar.update(task, completed=leg + share, visible=time.monotonic() - began_s > _SHOWN_AFTER_S)

        yield measured


def plot_target(
    target: TargetArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.png", help="Write a PNG instead of drawing in the terminal."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE", help="Draw this profile's plan over a recording.", autocompletion=complete_profile
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Draw waveform and spectrogram with a plan over them: the profile's plan, or the measured bursts."""
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError("{output}: only PNG is written; name a file that ends in .png", output=output)
    file = _recording(target)
    if file is None:
        if profile is not None:
            raise UsageError(
                "--profile draws over a recording, but {target!r} is a profile; remove one of them", target=target
            )
        chosen = choose_profile(target, config)
        title, plain, panels = chosen.title, chosen.id, [_panel_of_profile(chosen)]
    else:
        from ..recordings.read_recording import read_recording

        plan = choose_profile(profile, config) if profile is not None else None
        title, plain, panels = file.name, "recording", [_panel_of_leg(leg, plan, file) for leg in read_recording(file)]
    if output is not None:
        from ..showing.plotting import plot

        plot(output, title, panels, plain)
        print(output)
        return
    from rich.console import Console

    screen = Console()
    for panel in panels:
        screen.print(f"{title} · {panel.name}" if file else title, markup=False, highlight=False)
        screen.print(_drawn(panel))


def play_target(target: TargetArgument, config: ConfigOption = None) -> None:
    """Play a recording (one leg after the other) or a profile on this machine's sound device."""
    from ..showing.sound_device import play_samples

    file = _recording(target)
    if file is None:
        chosen = choose_profile(target, config)
        from ..making.waveform import waveform

        play_samples(waveform(_short(chosen, target), _PLAYED_RATE_HZ), _PLAYED_RATE_HZ)
        return
    from ..recordings.read_recording import read_recording

    for leg in read_recording(file):
        play_samples(leg.samples, leg.sample_rate_hz)


def profile_picture(profile: Profile) -> RenderableType:
    """A profile's waveform and spectrogram for the terminal, overlaid with its plan."""
    return _drawn(_panel_of_profile(profile))


def _drawn(panel: Panel) -> RenderableType:
    from ..showing.terminal_picture import draw_samples

    return draw_samples(panel.samples, panel.sample_rate_hz, panel.marks)


def _recording(target: str) -> Path | None:
    """The recording that the target names, or None if it names a profile."""
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        return None
    # A name with a suffix or a slash means a file. A missing file is reported when it is read.
    return path if path.is_file() or path.suffix or "/" in target else None


def _short(profile: Profile, target: str) -> Profile:
    """The profile with its repetitions limited to `_SHOWN_LIMIT_MS`.

    Raises ToneError if a single repetition is longer.
    """
    once_ms = profile.duration_ms / profile.repeat
    if once_ms > _SHOWN_LIMIT_MS:
        raise ToneError(
            "{target}: lasts {length_s:.0f} s, but a profile is drawn or played for "
            "{most_s:.0f} s at most. Generate its sound file, and plot or play that",
            target=target,
            length_s=once_ms / 1000,
            most_s=_SHOWN_LIMIT_MS / 1000,
        )
    repeat = max(1, min(profile.repeat, int(_SHOWN_LIMIT_MS / max(once_ms, 1))))
    return profile if repeat == profile.repeat else profile.model_copy(update={"repeat": repeat})


def _panel_of_profile(profile: Profile) -> Panel:
    from ..making.waveform import waveform
    from ..measuring.inspection import inspect
    from ..showing.marks import marks_of_inspection, marks_of_profile
    from ..showing.plotting import Panel

    shown = _short(profile, profile.id)
    samples = waveform(shown, _SYNTHESIS_RATE_HZ)
    if profile.recording:
        marks = marks_of_inspection(inspect(samples, _SYNTHESIS_RATE_HZ, profile.law))
    else:
        marks = marks_of_profile(shown)
    return Panel(profile.id, samples, _SYNTHESIS_RATE_HZ, marks)


def _panel_of_leg(leg: RecordedLeg, plan: Profile | None, file: Path) -> Panel:
    from ..measuring.inspection import inspect
    from ..showing.marks import marks_of_inspection, marks_of_profile, profile_offset_ms
    from ..showing.plotting import Panel

    inspection = inspect(leg.samples, leg.sample_rate_hz)
    if plan is None:
        marks = marks_of_inspection(inspection)
    elif plan.recording:
        raise UsageError(
            "the profile {id} is a recording and has no plan to draw over {file}; plot it by itself",
            id=plan.id,
            file=file,
        )
    else:
        offset = profile_offset_ms(plan, inspection.bursts)
        if offset is None:
            print(
                translated("idtone: {file}: no burst of {id} is found in {name}", file=file, id=plan.id, name=leg.name),
                file=sys.stderr,
            )
        marks = () if offset is None else marks_of_profile(plan, offset)
    return Panel(leg.name, leg.samples, leg.sample_rate_hz, marks)


def _as_json(leg: RecordedLeg, inspection: Inspection) -> dict[str, Any]:
    figures = asdict(inspection)
    for burst, measured in zip(figures["bursts"], inspection.bursts, strict=True):
        burst["duration_ms"] = measured.duration_ms
    return {"leg": leg.name, "lost_ms": leg.lost_ms, **figures}


def _print(screen: Console, leg: RecordedLeg, inspection: Inspection) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    clipped = f"{inspection.clipped_runs} runs, {inspection.clipped_samples} samples"
    figures = {
        "duration": f"{inspection.duration_ms:.2f} ms at {inspection.sample_rate_hz} Hz",
        "level": f"{_level(inspection.level_dbm0)} dBm0 ({inspection.law}), {_level(inspection.level_dbov)} dBov",
        "peak": f"{inspection.peak:.4f} of full scale, {_level(inspection.peak_dbov)} dBov",
        "noise": f"{_level(inspection.noise_dbm0)} dBm0, {_level(inspection.noise_dbov)} dBov",
        "DC": f"{inspection.dc_offset:+.6f} of full scale",
        "clipping": clipped if inspection.clipped_runs else "none",
    }
    if leg.lost:
        figures["lost"] = f"{leg.lost_ms:.0f} ms"
    screen.print(f"[bold]{escape(leg.name)}[/]", highlight=False)
    grid = Table.grid(padding=(0, 2))
    for name, figure in figures.items():
        grid.add_row(name, figure)
    screen.print(grid)
    if not inspection.bursts:
        screen.print(translated("no bursts of tone found"))
        return
    names = ("from ms", "to ms", "tone", "dBm0", "dBov", "ramps ms", "SINAD", "click", "off ms")
    columns = [Column(name, justify="right", no_wrap=True) for name in names]
    columns[names.index("tone")] = Column("tone", overflow="fold")
    table = Table(*columns, box=None, pad_edge=False)
    for burst in inspection.bursts:
        table.add_row(
            f"{burst.start_ms:z.2f}",
            f"{burst.end_ms:z.2f}",
            _tone(burst),
            _level(burst.level_dbm0),
            _level(burst.level_dbov),
            f"{burst.rise_ms:.1f} {burst.fall_ms:.1f}",
            f"{burst.sinad_db:.1f}",
            f"{burst.click_db:.1f}",
            "" if burst.off_ms is None else f"{burst.off_ms:.2f}",
        )
    screen.print(table)
    if inspection.truncated:
        screen.print(translated("and more: only the first {bursts} are measured", bursts=len(inspection.bursts)))


def _level(level_db: float) -> str:
    return "-∞" if level_db <= SILENCE_DB else f"{level_db:.2f}"


def _tone(burst: MeasuredBurst) -> str:
    several = len(burst.partials) > 1
    tone = " + ".join(
        f"{partial.frequency_hz:.2f}" + (f" ({_level(partial.level_dbm0)})" if several else "")
        for partial in burst.partials
    )
    if burst.glide:
        tone = f"{_sum(burst.glide.from_hz)} → {_sum(burst.glide.to_hz)}"
    tone += " Hz"
    if burst.modulation:
        tone += f", modulated at {burst.modulation.rate_hz:.2f} Hz to a depth of {burst.modulation.depth:.2f}"
    if burst.decay_db_per_s:
        tone += f", decaying by {burst.decay_db_per_s:.0f} dB/s"
    return tone


def _sum(frequencies_hz: tuple[float, ...]) -> str:
    return " + ".join(f"{frequency_hz:.2f}" for frequency_hz in frequencies_hz)
