"""Timeline of a call, drawn to scale, with one band for its setup and one for the whole call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from idtone.core.calls import Party
from idtone.core.translation import template
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import Step, StepKind

from .scale import Tick, TimeScale

WIDTH: Final = 760
_LEFT: Final = 110
_RIGHT: Final = WIDTH - 20
_LANE: Final = 30
_ABOVE: Final = 40
"""Height of a band's title and step numbers."""
_BELOW: Final = 34
_NUMBERS: Final = 8.0
"""Distance between the step numbers and the lanes below them."""
_DIGIT: Final = 8.0
_MUCH: Final = 4.0
"""Ratio of call duration to setup time above which the call gets a second band."""


class BarKind(StrEnum):
    """Kind of bar, which is also its CSS class."""

    RINGING = "ringing"
    SOUND = "sound"
    FAILED = "failed"
    TALK = "talk"


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    width: float
    y: float
    kind: BarKind


@dataclass(frozen=True, slots=True)
class StepMark:
    """Mark for one step, or for several steps whose numbers would overlap.

    `xs` are the positions of the steps. `text`, centered at `x`, shows their numbers from 1, for example `2` or `2–5`.
    """

    xs: tuple[float, ...]
    x: float
    label_y: float
    text: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane in a band. `party` is None in the lane of the call itself."""

    y: float
    party: Party | None


@dataclass(frozen=True, slots=True)
class Band:
    title: str
    top: float
    lanes_top: float
    lanes_bottom: float
    lanes: tuple[Lane, ...]
    bars: tuple[Bar, ...]
    marks: tuple[StepMark, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    width: float
    height: float
    left: float
    right: float
    bands: tuple[Band, ...]


def timeline(record: Record) -> Timeline:
    """Timeline of a call, with a band for its setup and one for the whole call.

    If the call is not much longer than its setup, it has only the band for the whole call.
    """
    zero = record.steps[0].at
    at_ms = [(step.at - zero) / timedelta(milliseconds=1) for step in record.steps]
    first, last = min(at_ms), max(at_ms)
    setup = _setup_ms(record, zero, last)
    if last - first > _MUCH * (setup - first):
        bands = [(template("Until connected"), setup), (template("The whole call"), last)]
    else:
        bands = [(template("The whole call"), last)]
    made: list[Band] = []
    top = 0.0
    for title, until in bands:
        made.append(_band(title, top, record, at_ms, TimeScale(first, until, _LEFT, _RIGHT)))
        top = made[-1].lanes_bottom + _BELOW
    return Timeline(WIDTH, top, _LEFT, _RIGHT, tuple(made))


def _setup_ms(record: Record, zero: datetime, last: float) -> float:
    """End of the setup plus a margin, in milliseconds after `zero`, but at most `last`."""
    times = record.times
    ends = [
        (at - zero) / timedelta(milliseconds=1)
        for kind, at in times.items()
        if kind in (StepKind.CONNECTED, StepKind.SOUND_ENDED, StepKind.SOUND_FAILED)
    ]
    return min(max(ends) * 1.1, last) if ends else last


def _band(title: str, top: float, record: Record, at_ms: Sequence[float], scale: TimeScale) -> Band:
    parties = [party for party in Party if party in record.profiles or _sounds(record.steps, party)]
    lanes_top = top + _ABOVE
    lanes = [Lane(lanes_top + _LANE * number, party) for number, party in enumerate([None, *parties])]
    bars = [bar for lane in lanes for bar in _bars(record.steps, at_ms, lane, scale)]
    lanes_bottom = lanes_top + _LANE * len(lanes)
    shown = [(number, ms) for number, ms in enumerate(at_ms, 1) if ms <= scale.last_ms]
    return Band(
        title,
        top,
        lanes_top,
        lanes_bottom,
        tuple(lanes),
        tuple(bars),
        tuple(_marks(shown, lanes_top, scale)),
        tuple(scale.ticks()),
    )


def _bars(steps: Sequence[Step], at_ms: Sequence[float], lane: Lane, scale: TimeScale) -> Iterable[Bar]:
    """Yield a lane's bars: ringing and talking in the call's lane, or the sound in a party's lane."""
    began: tuple[float, BarKind] | None = None
    for step, ms in zip(steps, at_ms, strict=True):
        ending, beginning = _edges(step, lane.party)
        if began is not None and ending:
            kind = ending if ending is BarKind.FAILED else began[1]
            yield _bar(began[0], ms, lane, kind, scale)
            began = None
        if beginning:
            began = (ms, beginning)
    if began is not None:
        yield _bar(began[0], max(at_ms), lane, began[1], scale)


def _edges(step: Step, party: Party | None) -> tuple[BarKind | None, BarKind | None]:
    """The bars that end and begin at this step in the party's lane."""
    if party is None:
        if step.kind in (StepKind.DECIDED, StepKind.FALLBACK):
            return None, BarKind.RINGING
        if step.kind is StepKind.ANSWERED:
            return BarKind.RINGING, None
        if step.kind is StepKind.CONNECTED:
            return BarKind.RINGING, BarKind.TALK
        return (BarKind.TALK if step.kind in (StepKind.ENDED, StepKind.INTERRUPTED) else None), None
    if step.details.get("party", Party.CALLED) != party:
        return None, None
    if step.kind is StepKind.SOUND_STARTED:
        return None, BarKind.SOUND
    if step.kind is StepKind.SOUND_ENDED:
        return BarKind.SOUND, None
    return (BarKind.FAILED if step.kind is StepKind.SOUND_FAILED else None), None


def _bar(start_ms: float, end_ms: float, lane: Lane, kind: BarKind, scale: TimeScale) -> Bar:
    x = scale.x(start_ms)
    return Bar(x, max(round(scale.x(end_ms) - x, 1), 1.5), lane.y + 5, kind)


def _marks(shown: Iterable[tuple[int, float]], lanes_top: float, scale: TimeScale) -> list[StepMark]:
    """Marks from left to right. Steps whose numbers would overlap share a mark."""
    marks: list[StepMark] = []
    numbers: list[list[int]] = []
    for number, ms in sorted(shown, key=lambda each: each[1]):
        mark, together = _mark([scale.x(ms)], [number], lanes_top), [number]
        while marks and _end(marks[-1]) > mark.x - _width(mark.text) / 2:
            together = numbers.pop() + together
            mark = _mark([*marks.pop().xs, *mark.xs], together, lanes_top)
        marks.append(mark)
        numbers.append(together)
    return marks


def _mark(xs: Sequence[float], numbers: Sequence[int], lanes_top: float) -> StepMark:
    first, last = min(numbers), max(numbers)
    text = f"{first}–{last}" if 0 < last - first < len(numbers) else ", ".join(map(str, numbers))
    return StepMark(tuple(xs), round((xs[0] + xs[-1]) / 2, 1), lanes_top - _NUMBERS, text)


def _width(text: str) -> float:
    return _DIGIT * (len(text) + 1)


def _end(mark: StepMark) -> float:
    return mark.x + _width(mark.text) / 2


def _sounds(steps: Sequence[Step], party: Party) -> bool:
    return any(step.details.get("party") == party for step in steps)
