"""Tests single parts of a sound, which the likelihood of the whole sound does not cover."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ..profile import Profile
from .fit import Baseband, Fitted, FittedComponent
from .log_odds import AUDIBLE, tone_share
from .part_measurements import amplitude_in_pause, edge_errors, weakest_slice
from .report import CheckOutcome, HeardBurst, Test
from .screening import Reals
from .sound_plan import Component, Plan

CODEC_MS: Final = 4.0
"""Time by which codecs move the edge of a burst, in ms. It is added to the tolerance."""
_ENOUGH: Final = 0.7
"""Minimum received share of a burst that counts as heard. Single lost packets do not matter."""
_WHOLE: Final = 0.95
_PURE: Final = 0.7
"""Minimum coherence of a burst whose edges can be measured. Its received share must also exceed `_WHOLE`."""
_PURE_BLASTED: Final = 0.53
"""Minimum coherence that replaces `_PURE` for a burst that was limited.

A codec that distorts the first third of a burst also turns the phase there.
"""
_EVEN: Final = 0.55
"""Minimum amplitude of the weakest slice of a whole burst, relative to the louder slices.

A whole burst exceeds this minimum even in white noise 5 dB above the sound, and after the codecs.
"""
_EVEN_ALONE: Final = 0.65
ALONE: Final = 0.9
"""Minimum share of the sound's tones in the total power at which noise cannot make a burst uneven.

An echo may still fill missing parts.
"""
_MISSING_DB: Final = -12.0
_SILENT_DB: Final = -60.0
"""Level below which a missing burst is silent, in dB. Codecs and buffers leave more of a damaged burst."""
_PACKETS_S: Final = 0.08
"""Maximum length of a burst that four consecutive lost packets can remove completely, in seconds."""
_CLEAN: Final = 0.9
"""Minimum coherence of every burst on a line that has changed the sound little."""
_PRECISE_MS: Final = 8.0
"""Maximum distance of all edges from an even cadence if the sound was made with that cadence, in ms.

A buffer stretches in steps.
"""
_STRETCH: Final = 1.5
"""Maximum stretching of a whole sound by adaptive buffers, in units of the tolerance."""
_CONTINUOUS_DB: Final = -2.0
"""Minimum level of a tone that continues in a pause, in dB. Echo and concealment are quieter."""
_FURTHER_DB: Final = -6.0
_FURTHER_COHERENCE: Final = 0.85
_FURTHER_DAMAGED: Final = 0.55
"""Minimum coherence of an additional burst after loss or in a room.

A voice rarely has as much at the sound's own pitch.
"""
_REMNANT_DB: Final = -25.0
_REMNANT_COHERENCE: Final = 0.3
_REMNANT_SHARE: Final = 0.85
"""Minimum share of an additional burst's tone in the power after the sound, even if packets are lost.

A voice rarely has as much of its power at a single tone.
"""
_REMNANT_AFTER_S: Final = 0.02
"""Time after the sound, in seconds. The filter spreads the end of the sound by less."""
_SAME_PITCH: Final = 0.01
_PAUSE_DB: Final = -6.0
_EDGE_BEYOND_S: Final = 0.01
"""Distance beyond the limit up to which an edge is searched, in seconds."""
_REPLAY_S: Final = 0.02
_REPLAY: Final = 0.3
_ROW: Final = 0.15


@dataclass(frozen=True, slots=True)
class TestedBurst:
    components: tuple[FittedComponent, ...]
    start_error_s: float
    end_error_s: float
    heard: float
    weakest: float
    """Amplitude of the burst's weakest slice, relative to its louder slices."""
    blasted: bool = False
    """True if the burst was limited because part of it was much too loud."""

    @property
    def level_db(self) -> float:
        """The level relative to the profile, in dB."""
        power = sum(each.amplitude**2 for each in self.components)
        wanted = sum(each.component.amplitude**2 for each in self.components)
        return 10 * math.log10(max(power, 1e-12) / wanted)

    @property
    def coherence(self) -> float:
        return min(each.coherence for each in self.components)

    @property
    def covered(self) -> bool:
        return self.coherence <= (_PURE_BLASTED if self.blasted else _PURE)

    @property
    def edges_ms(self) -> tuple[float, float] | None:
        """The errors of the burst's start and end in ms, or None if they cannot be measured."""
        if self.heard <= _WHOLE or self.covered:
            return None
        return 1000 * self.start_error_s, 1000 * self.end_error_s

    def ends_within(self, limit_ms: float) -> bool:
        """True if both edges of the burst can be measured and their errors are within the limit."""
        return self.edges_ms is not None and max(map(abs, self.edges_ms)) <= limit_ms

    def reported(self, profile: Profile) -> HeardBurst:
        first = min(self.components, key=lambda each: each.start_s)
        last = max(self.components, key=lambda each: each.end_s)
        start_error_ms, end_error_ms = self.edges_ms or (None, None)
        return HeardBurst(
            1000 * first.start_s - 500 * first.component.ramp_s,
            1000 * last.end_s + 500 * last.component.ramp_s,
            start_error_ms,
            end_error_ms,
            level_dbm0(profile, self.components),
            self.heard,
        )


@dataclass(frozen=True, slots=True)
class PartTestCase:
    """A place in a recording at which the sound may be.

    `share` is the share of its tones in the total power while they sound. `beside` contains the bursts around the
    sound, with their levels relative to the sound's own bursts (dB). `tails` is True for each burst that dies away as
    in a room. `alone` is True if the sound's tones are quiet before and after it. `remnants` are possible remains of an
    additional burst after it.
    """

    profile: Profile
    plan: Plan
    fitted: Fitted
    base: Baseband
    share: float
    bursts: tuple[TestedBurst, ...]
    beside: tuple[tuple[Fitted, float], ...]
    tails: Sequence[bool]
    alone: bool
    remnants: tuple[Fitted, ...]

    @property
    def resounds(self) -> bool:
        return any(self.tails)

    @property
    def uneven(self) -> tuple[int, ...]:
        """The numbers, from 1, of bursts with a missing or covered part."""
        even = _EVEN_ALONE if self.share > ALONE else _EVEN
        return tuple(index for index, burst in enumerate(self.bursts, 1) if burst.weakest < even)


def _frequency(case: PartTestCase) -> Test:
    limit = case.profile.tolerance.frequency_percent
    error = 100 * case.fitted.pitch
    outcome = CheckOutcome.PASSED if abs(error) <= limit else CheckOutcome.FAILED
    says = f"the frequency is {_off(error, 'higher', 'lower')}; {limit:g} % are allowed"
    return Test("frequency", outcome, says, certain=abs(error) > _STRETCH * limit or _clean(case))


def _cadence(case: PartTestCase) -> Test:
    limit = case.profile.tolerance.time_percent
    error = 100 * case.fitted.tempo
    outcome = CheckOutcome.PASSED if abs(error) <= limit else CheckOutcome.FAILED
    says = f"the cadence is {_off(error, 'slower', 'faster')}; {limit:g} % are allowed"
    return Test("cadence", outcome, says, certain=abs(error) > _STRETCH * limit and _precise(case))


def _clean(case: PartTestCase) -> bool:
    """True if the line has changed the sound little."""
    return not case.resounds and all(burst.coherence > _CLEAN for burst in case.bursts)


def _precise(case: PartTestCase) -> bool:
    """True if deviating times prove that this is another sound.

    A single burst proves nothing, because it fits any length.
    """
    edges = [each.edges_ms for each in case.bursts]
    return (
        len(edges) > 1
        and _clean(case)
        and all(each is not None and max(map(abs, each)) <= _PRECISE_MS for each in edges)
    )


def _complete(case: PartTestCase) -> Test:
    """Test that every burst is complete, and that the levels of the bursts differ only as in the profile."""
    unheard = [index for index, burst in enumerate(case.bursts, 1) if burst.heard < _ENOUGH]
    loudest = max((burst.level_db for burst in case.bursts if burst.heard >= AUDIBLE), default=0.0)
    missing = [
        (index, burst)
        for index, burst in enumerate(case.bursts, 1)
        if burst.heard >= AUDIBLE and burst.level_db < loudest + _MISSING_DB
    ]
    if missing:
        others = [burst for burst in case.bursts if burst.level_db >= loudest + _MISSING_DB]
        # A remnant left by a codec shows that the line lost packets, so it may have lost the other bursts too.
        silent = all(burst.level_db < loudest + _SILENT_DB for _, burst in missing)
        certain = silent and all(burst.coherence > _CLEAN for burst in others) and not _lost_whole(case, missing)
        says = f"{_numbered([index for index, _ in missing])} missing"
        return Test("bursts", CheckOutcome.FAILED, says, certain=certain)
    if unheard:
        return Test("bursts", CheckOutcome.UNKNOWN, f"{_numbered(unheard)} partly or completely lost in the recording")
    if case.uneven:
        says = f"{_numbered(case.uneven)} partly missing, or other sounds cover it"
        return Test("bursts", CheckOutcome.UNKNOWN, says)
    return Test("bursts", CheckOutcome.PASSED, f"all {len(case.bursts)} bursts are there")


def _edges(case: PartTestCase) -> Test:
    """Test that each edge of a burst is within the tolerance of the whole cadence."""
    limit_ms = _edge_limit_ms(case.profile, case.plan)
    measured = [
        (max(map(abs, edges)), index) for index, burst in enumerate(case.bursts, 1) if (edges := burst.edges_ms)
    ]
    covered = [index for index, burst in enumerate(case.bursts, 1) if burst.covered]
    if not measured:
        outcome = CheckOutcome.UNKNOWN if covered else CheckOutcome.PASSED
        return Test("edges", outcome, "single edges cannot be measured here; the test of the cadence covers them")
    worst, index = max(measured)
    some = f" of {len(measured)} bursts that can be measured" if len(measured) < len(case.bursts) else ""
    says = f"the largest edge error{some} is {worst:.1f} ms, in burst {index}; {limit_ms:.0f} ms are allowed"
    if worst > limit_ms:
        errors = (burst.edges_ms for burst in case.bursts)
        explained = case.alone and all(_explained(*each, limit_ms, case) for each in errors if each)
        says += ", as where a part is missing or a room resounds" if explained else ""
        return Test("edges", CheckOutcome.FAILED, says, certain=False, explained=explained)
    return Test("edges", CheckOutcome.UNKNOWN if covered else CheckOutcome.PASSED, says)


def _lost_whole(case: PartTestCase, missing: Sequence[tuple[int, TestedBurst]]) -> bool:
    """True if a few packets lost without a trace can explain what is missing: one short burst between others."""
    if case.base.mask is not None or len(missing) > 1 or missing[0][0] in (1, len(case.bursts)):
        return False
    components = [each.component for each in missing[0][1].components]
    length_s = max(each.end_s for each in components) - min(each.start_s for each in components)
    return length_s <= _PACKETS_S


def _explained(start_ms: float, end_ms: float, limit_ms: float, case: PartTestCase) -> bool:
    """True if a missing part, or a room that extends the burst, can explain the errors of its edges.

    A burst with one edge inside its planned time and the other outside it has moved, so this is False.
    """
    shorter = start_ms > limit_ms or end_ms < -limit_ms
    longer = start_ms < -limit_ms or end_ms > limit_ms
    return not longer or (case.resounds and not shorter)


def _edge_limit_ms(profile: Profile, plan: Plan) -> float:
    return 10 * profile.tolerance.time_percent * plan.length_s + CODEC_MS


def _further(case: PartTestCase) -> Test:
    """Test that there is no additional burst before or after the sound.

    An additional burst is as pure and as long as the sound's own bursts, and nearly as loud.
    """
    near = [
        each
        for each, loudness in case.beside
        if abs(each.pitch - case.fitted.pitch) < _SAME_PITCH
        and loudness > _FURTHER_DB
        and each.components[0].coherence > _FURTHER_DAMAGED
    ]
    further = [each for each in near if each.components[0].coherence > _FURTHER_COHERENCE]
    near.extend(case.remnants)
    if near and not further:
        says = f"something like a damaged further burst is at {near[0].start_s:z.2f} s"
        return Test("further", CheckOutcome.UNKNOWN, says)
    if not further:
        return Test("further", CheckOutcome.PASSED, "there is no further burst")
    if played_before(case.plan, case.fitted, further):
        says = f"the sound was played before too, at least a part of it, at {further[0].start_s:z.2f} s"
        return Test("further", CheckOutcome.UNKNOWN, says)
    (found,) = further[0].components
    says = f"a further burst of {found.component.middle_hz:.0f} Hz is at {further[0].start_s:z.2f} s"
    # For a damaged sound, this may be one of its own bursts, found one place later.
    whole = all(test(case).outcome is CheckOutcome.PASSED for test in (_cadence, _complete, _edges))
    # In a room, a decoder's repetition of the last burst looks like another burst.
    return Test("further", CheckOutcome.FAILED, says, certain=whole and not case.resounds)


def remnants(samples: Reals, fitted: Fitted, beside: Iterable[tuple[Fitted, float]]) -> Iterator[Fitted]:
    """Yield bursts after the sound that may be the remains of an additional burst.

    They contain only its tone, because the line destroyed the rest.
    """
    for each, loudness in beside:
        if (
            each.start_s > fitted.end_s + _REMNANT_AFTER_S
            and loudness > _REMNANT_DB
            and each.components[0].coherence > _REMNANT_COHERENCE
            and tone_share(samples, each) > _REMNANT_SHARE
        ):
            yield each


def played_before(plan: Plan, fitted: Fitted, further: Sequence[Fitted]) -> bool:
    """True if all additional bursts belong to one earlier playback of the sound and not to a longer series."""
    tempo = 1 + fitted.tempo

    def near(each: Fitted, place_s: float) -> bool:
        # A burst with a missing part is found slightly off its place.
        return abs(each.start_s - place_s) < max(_REPLAY_S, _REPLAY * each.components[0].component.length_s)

    def same(each: Fitted) -> list[Component]:
        wanted = each.components[0].component
        return [own for own in plan.components if (own.from_hz, own.to_hz) == (wanted.from_hz, wanted.to_hz)]

    if any(each.start_s > fitted.start_s for each in further):
        return False
    earlier = (further[0].start_s - tempo * own.start_s for own in same(further[0]))
    if not any(
        all(any(near(each, start_s + tempo * own.start_s) for own in same(each)) for each in further)
        for start_s in earlier
        if start_s < fitted.start_s - _REPLAY_S
    ):
        return False
    # In a series, the next burst follows at the interval of the profile's own bursts of the same tone.
    for each in further:
        row = same(each)
        for interval_s in (tempo * (after.start_s - before.start_s) for before, after in pairwise(row)):
            apart_s = fitted.start_s + tempo * row[0].start_s - each.start_s
            if abs(apart_s - interval_s) < max(_REPLAY_S, _ROW * interval_s):
                return False
    return True


def _pauses(case: PartTestCase) -> Test:
    """Test that a tone is silent in the pauses between its bursts."""
    levels = list(_pause_levels_db(case))
    loud = [start_s for start_s, level, _ in levels if level > _PAUSE_DB]
    # A voice after the sound can look like a room, but not after every burst.
    if not loud and case.resounds and all(case.tails):
        says = "the tones die away slowly, as in a room, which can fill what is missing of a burst"
        return Test("pauses", CheckOutcome.UNKNOWN, says)
    if not loud:
        return Test("pauses", CheckOutcome.PASSED, "the pauses are quiet")
    # A room, an echo or concealment fills a pause for a while. A continuous tone fills all pauses up to the next
    # burst. It has no edges, so its bursts are pure.
    continuous = min(level for *_, level in levels) > _CONTINUOUS_DB and not case.resounds
    ended = any(each.ends_within(_edge_limit_ms(case.profile, case.plan)) for each in case.bursts)
    uncovered = not any(each.covered for each in case.bursts)
    says = f"the tone continues in the pause before {1000 * loud[0]:.0f} ms"
    filled = case.alone and case.resounds and max(level for *_, level in levels) < _CONTINUOUS_DB
    says += ", as in a room" if filled else ""
    certain = continuous and uncovered and not ended
    return Test("pauses", CheckOutcome.FAILED, says, certain=certain, explained=filled)


def _pause_levels_db(case: PartTestCase) -> Iterator[tuple[float, float, float]]:
    """Yield the end of each pause of a tone in the plan, and the tone's level in the pause.

    The level is given relative to the next burst, and relative to the louder burst next to the pause.
    """
    latest: dict[int, int] = {}
    for index, each in enumerate(case.plan.components):
        track = case.base.track_of[index]
        before = latest.get(track)
        latest[track] = index
        if before is None:
            continue
        level = amplitude_in_pause(
            case.base, index, each, case.fitted, case.plan.components[before].end_s, each.start_s
        )
        if level is None:
            continue
        following, louder = (
            20 * math.log10(max(level, 1e-9) / max(*(case.fitted.components[one].amplitude for one in beside), 1e-9))
            for beside in ((index,), (before, index))
        )
        yield each.start_s, following, louder


def _level(case: PartTestCase) -> Test:
    limit = case.profile.tolerance.level_db
    off = _mean_level_db(case.fitted.components)
    if limit is None:
        return Test(
            "level", CheckOutcome.PASSED, f"the level is {_off(off, 'above', 'below', 'dB')} the profile's; not judged"
        )
    outcome = CheckOutcome.PASSED if abs(off) <= limit else CheckOutcome.FAILED
    return Test(
        "level", outcome, f"the level is {_off(off, 'above', 'below', 'dB')} the profile's; {limit:g} dB are allowed"
    )


TESTS: Final[tuple[Callable[[PartTestCase], Test], ...]] = (
    _frequency,
    _cadence,
    _complete,
    _edges,
    _further,
    _pauses,
    _level,
)


def heard_burst(
    profile: Profile, plan: Plan, number: int, fitted: Fitted, base: Baseband, *, blasted: bool
) -> TestedBurst:
    indices = [index for index, each in enumerate(plan.components) if each.burst == number]
    components = tuple(fitted.components[index] for index in indices)

    def loudest(edge: Callable[[Component], float]) -> int:
        return max(indices, key=lambda index: (edge(plan.components[index]), fitted.components[index].amplitude))

    first, last = loudest(lambda each: -each.start_s), loudest(lambda each: each.end_s)
    reach_s = _edge_limit_ms(profile, plan) / 1000 + _EDGE_BEYOND_S
    start_error_s, _ = edge_errors(base, first, plan.components[first], fitted, reach_s)
    _, end_error_s = edge_errors(base, last, plan.components[last], fitted, reach_s)
    weakest = min(weakest_slice(base, index, plan.components[index], fitted) for index in indices)
    return TestedBurst(components, start_error_s, end_error_s, min(each.heard for each in components), weakest, blasted)


def level_dbm0(profile: Profile, components: Sequence[FittedComponent]) -> float:
    """The level of the bursts formed by these components while they sound, in dBm0."""
    energy = sum(each.amplitude**2 * each.component.length_s for each in components)
    bursts: dict[int, list[Component]] = {}
    for each in components:
        bursts.setdefault(each.component.burst, []).append(each.component)
    sounding_s = sum(
        max(each.end_s for each in burst) - min(each.start_s for each in burst) for burst in bursts.values()
    )
    power = energy / sounding_s
    return 10 * math.log10(max(power, 1e-12)) + profile.law.full_scale_dbm0


def _mean_level_db(components: Iterable[FittedComponent]) -> float:
    audible = [each for each in components if each.heard >= AUDIBLE]
    power = sum(each.amplitude**2 * each.component.length_s for each in audible)
    wanted = sum(each.component.amplitude**2 * each.component.length_s for each in audible)
    return 10 * math.log10(max(power, 1e-12) / wanted) if wanted else 0.0


def _off(error: float, over: str, under: str, unit: str = "%") -> str:
    return f"{abs(error):.2f} {unit} {over if error >= 0 else under}"


def _numbered(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"burst {numbers[0]} is"
    return f"bursts {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} are"
