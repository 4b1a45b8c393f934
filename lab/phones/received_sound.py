"""The part of the profile's sound that reached a phone, from its packets or from its own recording.

The parties of these calls send silence, so loud parts are the sound. Frames are 20 ms of the sound without its pauses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soundfile

from idtone.dialplan import packets as packets_in
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from idtone.tones.verification.report import ToneVerdict
from idtone.tones.verification.verifier import Verifier
from lab.g711 import PCMA, PCMU, SAMPLE_RATE_HZ
from lab.rtp import Packet
from lab.rtp_recording import reassemble
from lab.sound_detection import in_order

SOUND: Final = "sample"
LOUD: Final = 0.018
"""Threshold of loud samples, with full scale 1: 15 dB below the sound, and above the codecs' noise in silence."""
HOP_S: Final = 0.005
FRAME_S: Final = 0.02
EDGE_S: Final = 0.015
"""Seconds by which the loud part of a complete sound may be shorter, because of the ramps of its bursts."""
EXACT_S: Final = 0.006
"""The same tolerance for packets of G.711, in which half of the last packet is a ramp."""
SLACK_S: Final = 0.1
"""Tolerance in seconds for a phone that stretches the sound. Its buffer inserts samples for late packets."""

Wave = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Received:
    """The sound at the phone.

    The best stretch of the sound's length has `loud` of its `of` frames. `verdict` comes from the verifier.
    """

    loud: int
    of: int
    verdict: ToneVerdict

    @property
    def whole(self) -> bool:
        return self.loud >= self.of and self.verdict is not ToneVerdict.ABSENT


class SoundJudge:
    """Judges recordings of one profile's sound. Creating it is slow, so reuse it."""

    def __init__(self) -> None:
        profile = load_library()[SOUND]
        reference = synthesise(profile, SAMPLE_RATE_HZ)
        self._verifier = Verifier(profile)
        self._length_s = len(reference) / SAMPLE_RATE_HZ
        self._loud_s = _loud(reference, SAMPLE_RATE_HZ).sum() * HOP_S
        self.of = round(self._loud_s / FRAME_S)

    def samples(self, samples: Wave, rate_hz: int, edge_s: float = EDGE_S) -> Received:
        if len(samples) < rate_hz * FRAME_S:
            return Received(0, self.of, ToneVerdict.ABSENT)
        stretch = round((self._length_s + SLACK_S) / HOP_S)
        loud = _loud(samples, rate_hz)
        most = np.convolve(loud, np.ones(stretch)).max(initial=0) * HOP_S
        frames = self.of if most >= self._loud_s - edge_s else int(most / FRAME_S)
        return Received(frames, self.of, self._verifier.verify(samples, rate_hz).verdict)

    def packets(self, packets: Sequence[Packet]) -> Received:
        """The sound in a port's packets, placed at their own times, or in order without gaps if Asterisk was late."""
        edge_s = EXACT_S if {packet.payload_type for packet in packets} <= {PCMU, PCMA} else EDGE_S
        found = []
        for each in (packets, in_order(packets)):
            found.append(self.samples(reassemble(each).samples / 32768, SAMPLE_RATE_HZ, edge_s))
            if found[-1].whole:
                break
        return max(found, key=lambda each: (each.loud, -list(ToneVerdict).index(each.verdict)))

    def counted(self, packets: Sequence[Packet]) -> Received:
        """The sound in packets that are encrypted, or in a codec that the lab does not decode."""
        return count_by_sequence(packets, packets_in(self._length_s * 1000), self.of)

    def recording(self, path: Path) -> Received:
        """The sound in the first channel of a phone's own recording. ABSENT without a recording."""
        if not path.exists() or path.stat().st_size <= 44:  # the size of a header without a sample
            return Received(0, self.of, ToneVerdict.ABSENT)
        samples, rate_hz = soundfile.read(path, always_2d=True)
        return self.samples(samples[:, 0], rate_hz)


def count_by_sequence(packets: Sequence[Packet], wanted: int, of: int) -> Received:
    """The received part of a sound of `wanted` packets, derived only from their sequence numbers.

    Asterisk sends the sound first, and restarts it if a part could not be sent. Then it sends the other party's voice
    with another SSRC. So the last packets of the first SSRC are the sound.
    """
    came = {packet.sequence for packet in packets if packet.ssrc == packets[0].ssrc}
    if not came:
        return Received(0, of, ToneVerdict.ABSENT)
    last = packets[0].sequence + max((number - packets[0].sequence + 0x8000) % 0x10000 - 0x8000 for number in came)
    missing = sum((last - back) % 0x10000 not in came for back in range(wanted))
    return Received(max(0, of - missing), of, ToneVerdict.CANNOT_TELL)


def _loud(samples: Wave, rate_hz: int) -> npt.NDArray[np.float64]:
    """1 for each hop that is loud, and 0 for the others."""
    hop = round(HOP_S * rate_hz)
    whole = np.asarray(samples, np.float64)[: len(samples) // hop * hop].reshape(-1, hop)
    loud: npt.NDArray[np.float64] = (np.sqrt(np.mean(whole**2, axis=1)) >= LOUD).astype(np.float64)
    return loud
