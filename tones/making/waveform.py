"""Converts a profile to samples, whether it consists of segments or of a recording."""

from collections.abc import Iterator

from ..profile import Profile
from .dither import Dither
from .oscillation import Samples
from .synthesis import Pcm, add_dither, synthesise, synthesised_blocks, to_pcm16


def waveform(profile: Profile, sample_rate_hz: int) -> Samples:
    """The whole sound at its level including its last pause, without dither. One channel, where 1.0 is full scale.

    Raises ToneError if the sample rate is too low for the telephone band or the recording is unusable. Raises
    RecordingError if the recording cannot be read.
    """
    if not profile.recording:
        return synthesise(profile, sample_rate_hz)
    # The resampler and the readers take long to import, and most profiles need neither.
    from .master_recording import recorded_samples

    return recorded_samples(profile, sample_rate_hz)


def pcm_blocks(profile: Profile, sample_rate_hz: int, *, dither: bool = True) -> Iterator[Pcm]:
    """Yield the sound of `waveform` in 16-bit blocks of any length. The caller must not change the blocks.

    The profile's dither is added unless `dither` is False, because some encoders add noise themselves.
    """
    seed = profile.dither_seed if dither else None
    if not profile.recording:
        yield from synthesised_blocks(profile, sample_rate_hz, seed)
        return
    samples = waveform(profile, sample_rate_hz)
    yield to_pcm16(samples) if seed is None else add_dither(samples * 32768.0, Dither(seed))
