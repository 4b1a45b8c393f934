"""Twenty paths of a call from Asterisk to a recording, some of them through a room. The recording does not show the
packets that were lost.

A trial has the complete sound, or one of DAMAGES: a part was not sent, or an additional burst was.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from idtone.tones.profile import Profile

from . import concealment, rooms_and_phones
from .codecs import Pcm
from .concealment import Line, Lost
from .impaired_legs import PACKET, Condition, Trial, leg_of, sound_of, sounding_rms
from .speech_and_music import RATE_HZ, Part, Signal

LOSSES: Final = (0.0, 0.01, 0.03, 0.05, 0.10)
ROOMS: Final[dict[str, tuple[float, float] | None]] = {
    "line": None,
    "room 30 dB": (30.0, 0.3),
    "room 20 dB": (20.0, 0.6),
}
"""Name of a room → its signal-to-noise ratio and reverberation time; None if the file was recorded on the line."""

Handling = Callable[[Signal, np.random.Generator], Signal]


@dataclass(frozen=True, slots=True)
class Chain:
    """The codecs on a call's path, each after a packet loss, and then the phone's processing."""

    lines: tuple[Line, ...]
    handlings: tuple[Handling, ...] = ()


def _speex(samples: Signal, chance: np.random.Generator) -> Signal:
    return _signal(rooms_and_phones.suppress_by_speex(_pcm(samples)))


def _webrtc(samples: Signal, chance: np.random.Generator) -> Signal:
    return _signal(rooms_and_phones.suppress_by_webrtc(_pcm(samples)))


CHAINS: Final = {
    "G.711, silence": Chain((concealment.plain,)),
    "G.711": Chain((concealment.g711,)),
    "G.722": Chain((concealment.g722,)),
    "GSM": Chain((concealment.gsm,)),
    "AMR": Chain((concealment.amr,)),
    "AMR-WB": Chain((concealment.amr_wb,)),
    "G.729": Chain((concealment.g729,)),
    "Opus": Chain((concealment.opus,)),
    "Opus DTX": Chain((concealment.opus_dtx,)),
    "Speex": Chain((concealment.speex,)),
    "AMR, AMR-WB": Chain((concealment.amr, concealment.amr_wb)),
    "G.729, AMR": Chain((concealment.g729, concealment.amr)),
    "GSM, G.729": Chain((concealment.gsm, concealment.g729)),
    "Opus, AMR": Chain((concealment.opus, concealment.amr)),
    "G.711, playout": Chain((concealment.g711,), (rooms_and_phones.adaptive_playout,)),
    "Opus, playout": Chain((concealment.opus,), (rooms_and_phones.adaptive_playout,)),
    "G.711, WebRTC's suppression": Chain((concealment.g711,), (_webrtc,)),
    "AMR, WebRTC's suppression": Chain((concealment.amr,), (_webrtc,)),
    "G.711, Speex's suppression": Chain((concealment.g711,), (_speex,)),
    "Speex, its suppression, playout": Chain((concealment.speex,), (_speex, rooms_and_phones.adaptive_playout)),
}


def chain_trial(profile: Profile, chain: str, damage: str, part: Part, number: int) -> Trial:
    """Make a leg through a chain; its number also chooses loss and room.

    Fifteen legs in a row have all combinations, and a shorter row has all rooms. The verifier does not receive the
    positions of the lost packets, because a recording has none.
    """
    loss = LOSSES[number % len(LOSSES)]
    room = list(ROOMS.values())[number % len(ROOMS)]
    chance = np.random.default_rng([zlib.crc32(f"{part.value} {profile.id} {chain} {damage}".encode()), number])
    sent = leg_of(DAMAGES[damage](profile, chance), sounding_rms(profile), Condition("any", None), chance, part)
    heard = sent.samples
    lines = CHAINS[chain].lines
    for line in lines:
        # The lines together lose as much as one would.
        share = 1 - (1 - loss) ** (1 / len(lines))
        heard = _signal(line(_pcm(heard), lost_packets(len(heard) // PACKET, share, chance)))
    for handle in CHAINS[chain].handlings:
        heard = handle(heard, chance)
    if room:
        heard = rooms_and_phones.add_room(heard, chance, *room)
    return replace(sent, samples=_signal(_pcm(heard)))


def lost_packets(count: int, loss: float, chance: np.random.Generator) -> Lost:
    """Draw lost packets, in bursts of 1.5 packets on average (Gilbert's model)."""
    leave = 1 / 1.5
    enter = loss * leave / (1 - loss)
    lost, state = np.zeros(count, bool), False
    for index, value in enumerate(chance.random(count)):
        state = value >= leave if state else value < enter
        lost[index] = state
    return lost


Damage = Callable[[Profile, np.random.Generator], Signal]


def _whole(profile: Profile, chance: np.random.Generator) -> Signal:
    return sound_of(profile)


def _one_burst(profile: Profile, chance: np.random.Generator) -> Signal:
    """The sound without 70 % of one burst: the burst's beginning, end or middle is missing."""
    spans = _spans(profile)
    first, end = spans[int(chance.integers(len(spans)))]
    return _silenced(profile, [_share(first, end, 0.7, float(chance.choice([0.0, 0.5, 1.0])))])


def _every_burst(profile: Profile, chance: np.random.Generator) -> Signal:
    where = float(chance.choice([0.0, 0.5, 1.0]))
    return _silenced(profile, [_share(first, end, 0.5, where) for first, end in _spans(profile)])


def _beginning(profile: Profile, chance: np.random.Generator) -> Signal:
    return _silenced(profile, [(0, RATE_HZ * 80 // 1000)])


def _ending(profile: Profile, chance: np.random.Generator) -> Signal:
    length = len(sound_of(profile))
    return _silenced(profile, [(length - RATE_HZ * 80 // 1000, length)])


def _one_more(profile: Profile, chance: np.random.Generator) -> Signal:
    sound, (first, end) = sound_of(profile), _spans(profile)[0]
    pause_ms = max(burst.segment.off_ms for burst in profile.bursts()) or 100.0
    return np.concatenate([sound, np.zeros(round(pause_ms * RATE_HZ / 1000), np.float32), sound[first:end]])


WHOLE: Final = "whole"
DAMAGES: Final[dict[str, Damage]] = {
    WHOLE: _whole,
    "70 % of a burst missing": _one_burst,
    "half of every burst missing": _every_burst,
    "first 80 ms missing": _beginning,
    "last 80 ms missing": _ending,
    "one burst more": _one_more,
}


def _spans(profile: Profile) -> list[tuple[int, int]]:
    return [
        (round(burst.start_ms * RATE_HZ / 1000), round(burst.end_ms * RATE_HZ / 1000)) for burst in profile.bursts()
    ]


def _share(first: int, end: int, share: float, where: float) -> tuple[int, int]:
    length = round(share * (end - first))
    begin = first + round(where * (end - first - length))
    return begin, begin + length


def _silenced(profile: Profile, spans: list[tuple[int, int]]) -> Signal:
    samples = sound_of(profile).copy()
    for first, end in spans:
        samples[first:end] = 0
    return samples


def _pcm(samples: Signal) -> Pcm:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def _signal(samples: Pcm) -> Signal:
    return np.asarray(samples / np.float32(32768), np.float32)
