"""Profile → samples, from segments or from a recording."""

from collections.abc import Iterator

from ..profile import Profile
from .dither import Dither
from .oscillation import Samples
from .synthesis import Pcm, add_dither, synthesise, synthesised_blocks, to_pcm16


def waveform(profile: Profile, sample_rate_hz: int) -> Samples:
    """The whole sound at its level with its last pause, without dither; one channel, 1.0 is full scale.

    Raises ToneError for a rate that cannot carry the band and for a recording that cannot be used, and RecordingError
    for a recording that cannot be read.
    """
    if not profile.recording:
        return synthesise(profile, sample_rate_hz)
    # The resampler and the readers take long to load, and most profiles need neither.
    from .master_recording import recorded_samples

    return recorded_samples(profile, sample_rate_hz)


def pcm_blocks(profile: Profile, sample_rate_hz: int, *, dither: bool = True) -> Iterator[Pcm]:
    """The same sound as from `waveform`, in 16 bits, in blocks of any length. The caller must not change the blocks.

    Without `dither`, the profile's dither is left out, because some encoders add noise themselves.
    """
    seed = profile.dither_seed if dither else None
    if not profile.recording:
        yield from synthesised_blocks(profile, sample_rate_hz, seed)
        return
    samples = waveform(profile, sample_rate_hz)
    yield to_pcm16(samples) if seed is None else add_dither(samples * 32768.0, Dither(seed))
