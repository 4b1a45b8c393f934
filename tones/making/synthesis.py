"""Converts a profile's segments to samples, block by block, so that an hour needs no more memory than a minute.

The waves come from `oscillation`, whose bits are identical on every machine. Repeating samples are computed only once:
short bursts, one period of each steady tone, and the group of cycles after which edges fall at the same positions
between samples.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from idtone.core.errors import ToneError

from ..profile import Profile
from .amplitude import amplitude, check_sample_rate
from .burst_waves import BurstTimeline, BurstWave
from .dither import Dither
from .oscillation import BLOCK, Samples

Pcm = NDArray[np.int16]
"""One channel of 16-bit samples."""

_Block = TypeVar("_Block", Pcm, Samples)
_PIECE: Final = 4 * BLOCK
"""Number of samples in one write to a file.

It is large enough to make the system call negligible, and small enough for the cache.
"""
_KEPT_LIMIT: Final = 1_048_576
"""Maximum number of samples in a group of cycles, and in all bursts kept for reuse."""
_PERIOD_LIMIT: Final = 8_388_608
"""Maximum number of samples in a period. At 8 kHz, a frequency in thousandths of a hertz has a shorter period."""


def synthesise(profile: Profile, sample_rate_hz: int) -> Samples:
    """The whole sound including its last pause, without dither.

    Every edge is rounded to the nearest sample from its exact time, so that errors do not add up. A burst starts with
    phase 0 at its first sample. Raises ToneError if the sample rate is too low for the telephone band.
    """
    assert not profile.recording
    check_sample_rate(sample_rate_hz)
    samples = np.empty(BurstTimeline(profile, sample_rate_hz).end)
    at = 0
    for block in _steps(profile, sample_rate_hz):
        np.divide(block, 32768.0, out=samples[at : at + len(block)])
        at += len(block)
    return samples


def synthesised_blocks(profile: Profile, sample_rate_hz: int, dither_seed: int | None) -> Iterator[Pcm]:
    """Yield the sound of `synthesise` in 16-bit blocks of any length. The caller must not change the blocks.

    Unlike `synthesise`, this adds dither if `dither_seed` is given.
    """
    check_sample_rate(sample_rate_hz)
    if dither_seed is None:
        yield from _cycles(profile, sample_rate_hz)
        return
    noise = Dither(dither_seed)
    yield from (add_dither(block, noise) for block in _steps(profile, sample_rate_hz))


def add_dither(steps: Samples, noise: Dither) -> Pcm:
    """The sum of `steps` and the noise, rounded to whole 16-bit steps and clipped to 16 bits."""
    rounded = np.rint(steps + noise.steps(len(steps)))
    return np.clip(rounded, -32768, 32767).astype(np.int16)


def to_pcm16(samples: Samples) -> Pcm:
    """The samples rounded to 16 bits, with halves to even. Raises ToneError if a sample exceeds full scale."""
    rounded = np.rint(samples * 32768.0)
    if not np.all((rounded >= -32768) & (rounded <= 32767)):
        raise ToneError("the samples exceed full scale; lower the level")
    return rounded.astype(np.int16)


def _steps(profile: Profile, sample_rate_hz: int) -> Iterator[Samples]:
    """Yield the sound in unrounded 16-bit steps. Each block may overwrite the previous one."""
    timeline = BurstTimeline(profile, sample_rate_hz)
    silence = np.zeros(BLOCK)
    at = 0
    for first, end, segment in timeline.bursts():
        yield from _repeated(silence, first - at)
        peak = 32768 * amplitude(profile.level_of(segment), profile.law)
        yield from BurstWave(segment, end - first, sample_rate_hz, peak).blocks()
        at = end
    yield from _repeated(silence, timeline.end - at)


def _cycles(profile: Profile, sample_rate_hz: int) -> Iterator[Pcm]:
    cycle = BurstTimeline(profile, sample_rate_hz).cycle
    group = cycle.denominator
    rest = profile.repeat
    if rest > group and cycle * group <= _KEPT_LIMIT:
        some = profile.model_copy(update={"repeat": group})
        once = _whole(_gather(_bursts(some, sample_rate_hz)), int(cycle * group))
        yield from _repeated(_tile(once), len(once) * (rest // group))
        rest %= group
    if rest:
        yield from _gather(_bursts(profile.model_copy(update={"repeat": rest}), sample_rate_hz))


def _bursts(profile: Profile, sample_rate_hz: int) -> Iterator[Pcm | Samples]:
    """Yield the sound in blocks: rounded to 16 bits where samples repeat, and otherwise in unrounded steps."""
    timeline = BurstTimeline(profile, sample_rate_hz)
    silence = np.zeros(_PIECE, np.int16)
    kept: dict[tuple[int, int], Pcm] = {}
    room = _KEPT_LIMIT if profile.repeat > 1 else 0
    at = 0
    for first, end, segment in timeline.bursts():
        yield from _repeated(silence, first - at)
        at = end
        length = end - first
        key = id(segment), length
        if key in kept:
            yield kept[key]
            continue
        peak = 32768 * amplitude(profile.level_of(segment), profile.law)
        burst = BurstWave(segment, length, sample_rate_hz, peak)
        if length <= room:
            room -= length
            kept[key] = _whole(_gather(burst.blocks()), length)
            yield kept[key]
        else:
            yield from _burst(burst)
    yield from _repeated(silence, timeline.end - at)


def _burst(burst: BurstWave) -> Iterator[Pcm | Samples]:
    """Yield the samples of a burst that is not kept for reuse.

    One period of its plateau is computed and repeated.
    """
    first, end = burst.plateau
    period = burst.period
    if period is None or period > _PERIOD_LIMIT or end - first < 2 * period:
        yield from burst.blocks()
        return
    yield from burst.blocks(0, first)
    once = _whole(_gather(burst.blocks(first, first + period)), period)
    again = (end - first) // period * period
    yield from _repeated(_tile(once), again)
    yield from burst.blocks(first + again)


def _whole(pieces: Iterable[Pcm], length: int) -> Pcm:
    samples = np.empty(length, np.int16)
    at = 0
    for piece in pieces:
        samples[at : at + len(piece)] = piece
        at += len(piece)
    samples.flags.writeable = False
    return samples


def _tile(once: Pcm) -> Pcm:
    """The samples repeated as many whole times as fit into one piece, at least once."""
    return once if len(once) >= _PIECE else np.tile(once, _PIECE // len(once))


def _repeated(block: _Block, length: int) -> Iterator[_Block]:
    """Yield `block` repeatedly, cut at `length` samples in total."""
    for _ in range(length // len(block)):
        yield block
    if length % len(block):
        yield block[: length % len(block)]


def _gather(blocks: Iterable[Pcm | Samples]) -> Iterator[Pcm]:
    """Yield the blocks rounded and joined into pieces."""
    scratch = np.empty(0)
    gathered, used = np.empty(_PIECE, np.int16), 0
    for block in blocks:
        if used + len(block) > _PIECE:
            yield gathered[:used]
            gathered, used = np.empty(_PIECE, np.int16), 0
        to = gathered[used : used + len(block)]
        if block.dtype == np.int16:
            if len(block) >= _PIECE:
                yield block.view(np.int16)
                continue
            to[:] = block
        else:
            if len(block) > len(scratch):
                scratch = np.empty(len(block))
            np.copyto(to, np.rint(block, out=scratch[: len(block)]), casting="unsafe")
        used += len(block)
    if used:
        yield gathered[:used]
