from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lab import voices
from lab.calls.assert_heard import assert_heard_by
from lab.codecs import CODECS, FRAME, G722, OPUS, encode_frames
from lab.g711 import PCMA, PCMU, Samples
from lab.rtp import FRAME_NS, Packet
from lab.rtp_recording import reassemble
from lab.sound_detection import DetectedSound, hear, hear_each, hear_whole, identify, in_order
from lab.voices import ANNOUNCEMENT, CALLED, CALLER, LEVEL_RMS, PERIOD

ANSWERED_NS = 1_790_000_000_000_000_123
AMPLITUDE = 22657 * 10 ** (-16 / 20)
"""Amplitude of -16 dBm0, the level of the shipped profiles."""


def note(frequency_hz: float, on_ms: int, off_ms: int = 0) -> Samples:
    """A burst that begins and ends at full height, so that its first and last sample are known."""
    time_s = np.arange(on_ms * 8) / 8000
    burst = AMPLITUDE * np.cos(2 * np.pi * frequency_hz * time_s)
    return np.concatenate((burst, np.zeros(off_ms * 8))).astype(np.int16)


def silence(ms: float) -> Samples:
    return np.zeros(round(ms * 8), np.int16)


SAMPLE = np.concatenate((note(520, 120, 20), note(650, 120, 20), note(1040, 160)))
NOTICE = np.concatenate((note(730, 220, 40), note(584, 300)))
SPEECH = np.tile(CALLER, 3)[1234:]
"""The caller's voice, from a place inside its loop."""


def capture(*parts: Samples, payload_type: int = PCMU, lost: Sequence[int] = (), begin_ms: float = 0) -> list[Packet]:
    """Packets that a phone receives when the parts are sent in order, from `begin_ms` after the answer."""
    samples = np.concatenate(parts)
    frames = encode_frames(np.pad(samples, (0, -len(samples) % FRAME)), payload_type)
    start_ns = ANSWERED_NS + round(begin_ms * 1e6)
    # Both counters wrap within the capture.
    packets = [
        Packet(
            start_ns + number * FRAME_NS,
            65530 + number & 0xFFFF,
            2**32 - 800 + number * CODECS[payload_type].ticks & 0xFFFFFFFF,
            77,
            payload_type,
            frame,
        )
        for number, frame in enumerate(frames)
    ]
    return [packet for number, packet in enumerate(packets) if number not in lost]


def measure(packets: Sequence[Packet], reference: Samples = SAMPLE) -> DetectedSound:
    return hear(packets, ANSWERED_NS, reference=reference, voice=CALLER)


@pytest.mark.parametrize("payload_type", [PCMU, PCMA])
@pytest.mark.parametrize("before_ms", [0, 20, 33.125, 97.5])
def test_sound_and_voice_are_placed_to_the_sample(payload_type: int, before_ms: float) -> None:
    heard = measure(capture(silence(before_ms), SAMPLE, SPEECH, payload_type=payload_type, begin_ms=5))
    assert heard.complete
    assert heard.times == 1
    assert heard.correlation > 0.999
    assert heard.onset_ms == pytest.approx(before_ms + 5)
    assert heard.end_ms == pytest.approx(before_ms + 5 + 440)
    assert heard.voice_ms == pytest.approx(before_ms + 5 + 440, abs=0.5)
    assert heard.level_dbm0 == pytest.approx(-16, abs=0.1)
    assert heard.lost == 0


@pytest.mark.parametrize(("payload_type", "delay_ms", "least"), [(G722, 1.4, 0.998), (OPUS, 6.5, 0.999)])
@pytest.mark.parametrize("lost", [(), (2,)])
def test_wideband_codecs_are_heard_too(payload_type: int, delay_ms: float, least: float, lost: tuple[int, ...]) -> None:
    """`delay_ms` is the delay of the codec's filters. The lost packets are in the silence before the sound. In G.722's
    filters the notes' hard edges ring into the pauses between the notes, so the correlation is only 0.896.
    """
    samples = (silence(100), SAMPLE, SPEECH, silence(100))
    heard = measure(capture(*samples, payload_type=payload_type, lost=lost, begin_ms=5))
    assert min(heard.frames) >= 0.89
    assert (heard.times, heard.lost) == (1, len(lost))
    assert heard.correlation >= least
    assert heard.onset_ms == pytest.approx(105 + delay_ms, abs=1)
    assert heard.end_ms == pytest.approx(545 + delay_ms, abs=1)
    assert heard.voice_ms == pytest.approx(545 + delay_ms, abs=12)


def test_silence_around_the_reference_and_its_scale_do_not_matter() -> None:
    packets = capture(silence(100), SAMPLE, SPEECH)
    padded = np.concatenate((silence(50), SAMPLE, silence(3))) / 32768
    heard, expected = measure(packets, padded), measure(packets)
    assert heard.complete
    assert (heard.onset_ms, heard.end_ms, heard.voice_ms) == (expected.onset_ms, expected.end_ms, expected.voice_ms)
    assert heard.level_dbm0 == pytest.approx(expected.level_dbm0)


def test_a_quieter_sound_is_the_same_sound() -> None:
    heard = measure(capture(silence(100), (SAMPLE / 4).astype(np.int16), SPEECH))
    assert heard.complete
    assert heard.level_dbm0 == pytest.approx(-28, abs=0.2)


@pytest.mark.parametrize("cut_ms", [300, 340, 375, 420])
@pytest.mark.parametrize("after", [silence(400), SPEECH], ids=["silence", "voice"])
def test_a_sound_cut_off_is_not_complete_and_ends_where_it_was_cut(cut_ms: int, after: Samples) -> None:
    heard = measure(capture(silence(100), SAMPLE[: cut_ms * 8], after))
    assert not heard.complete
    if heard.present:
        assert heard.onset_ms == pytest.approx(100)
        assert heard.end_ms == pytest.approx(100 + cut_ms - cut_ms % 20)
    else:
        assert cut_ms == 300
    if after is SPEECH:
        assert heard.voice_ms == pytest.approx(100 + cut_ms, abs=2)


def test_a_sound_without_its_start_begins_where_it_is_first_heard() -> None:
    heard = measure(capture(SAMPLE[50 * 8 :], SPEECH))
    assert heard.present
    assert not heard.complete
    assert heard.onset_ms == pytest.approx(10)  # 60 ms of the sound: the first frame that is whole
    assert heard.end_ms == pytest.approx(390)


def test_lost_packets_are_counted_and_damage_the_sound() -> None:
    heard = measure(capture(silence(100), SAMPLE, SPEECH, lost=[8, 9, 40]))
    assert heard.lost == 3
    assert heard.present
    assert not heard.complete
    assert [number for number, frame in enumerate(heard.frames) if frame < 0.9] == [3, 4]
    assert (heard.onset_ms, heard.end_ms) == (pytest.approx(100), pytest.approx(540))
    assert heard.level_dbm0 == pytest.approx(-16, abs=0.1)


def test_a_sound_played_twice_is_heard_twice() -> None:
    heard = measure(capture(silence(60), SAMPLE, silence(30), SAMPLE, SPEECH))
    assert heard.times == 2
    assert heard.onset_ms == pytest.approx(60)
    assert heard.voice_ms == pytest.approx(60 + 440 + 30 + 440, abs=0.5)


def test_a_voice_over_the_sound_is_noticed_and_placed() -> None:
    samples = np.concatenate((silence(100), SAMPLE, silence(400)))
    samples[350 * 8 :] += SPEECH[: len(samples) - 350 * 8]
    heard = measure(capture(samples))
    assert heard.present
    assert not heard.complete
    assert heard.voice_ms == pytest.approx(350, abs=1)


def test_voices_are_distinguished() -> None:
    packets = capture(np.tile(CALLED, 2), ANNOUNCEMENT, np.tile(CALLER, 2))
    starts = [hear(packets, ANSWERED_NS, voice=voice).voice_ms for voice in (CALLED, ANNOUNCEMENT, CALLER)]
    assert starts == [pytest.approx(at_ms, abs=2) for at_ms in (0, 1000, 1500)]


@pytest.mark.parametrize("reference", [SAMPLE, NOTICE])
def test_a_profile_is_not_the_callers_voice(reference: Samples) -> None:
    assert measure(capture(silence(50), reference, silence(200), reference)).voice_ms is None


def test_the_profile_is_identified() -> None:
    profiles = {"sample": SAMPLE, "notice": NOTICE}
    assert identify(capture(silence(70), SAMPLE, SPEECH), profiles) == "sample"
    assert identify(capture(silence(70), NOTICE, SPEECH, payload_type=PCMA), profiles) == "notice"
    assert identify(capture(SPEECH), profiles) is None
    assert identify([], profiles) is None
    assert not measure(capture(silence(70), NOTICE, SPEECH)).present


NOTHING = {
    "nothing": [],
    "silence": capture(silence(2000)),
    "a frame of silence": capture(silence(20)),
    "noise": capture(np.random.default_rng(7).normal(0, LEVEL_RMS, 8 * 8000).astype(np.int16)),
    **{f"{tone_hz} Hz": capture(note(tone_hz, 2000)) for tone_hz in (400, 520, 584, 650, 730, 1040)},
}


@pytest.mark.parametrize("packets", NOTHING.values(), ids=NOTHING)
def test_what_is_neither_profile_nor_voice(packets: list[Packet]) -> None:
    assert identify(packets, {"sample": SAMPLE, "notice": NOTICE}) is None
    heard = measure(packets)
    assert (heard.times, heard.onset_ms, heard.frames, heard.voice_ms, heard.lost) == (0, None, (), None, 0)


def test_a_reference_without_a_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="silent"):
        measure([], silence(100))


def test_under_noise_the_sound_is_present_and_the_voice_is_found() -> None:
    samples = np.concatenate((silence(100), SAMPLE, SPEECH)).astype(float)
    noise = np.random.default_rng(8).normal(0, LEVEL_RMS / 2, len(samples))
    heard = measure(capture((samples + noise).astype(np.int16)))
    assert heard.present
    assert heard.voice_ms == pytest.approx(540, abs=2)


def late(packets: list[Packet]) -> list[Packet]:
    delays_ns = np.random.default_rng(9).exponential(8e6, len(packets)).astype(int)
    delays_ns[13] = 0
    return sorted(
        packet._replace(arrival_ns=packet.arrival_ns + int(delay_ns))
        for packet, delay_ns in zip(packets, delays_ns, strict=True)
    )


def disordered(packets: list[Packet]) -> list[Packet]:
    """Packets out of order, with a duplicate."""
    packets[9], packets[11] = packets[11], packets[9]
    return [*packets[:20], packets[18]._replace(arrival_ns=packets[20].arrival_ns), *packets[20:]]


def with_comfort_noise(packets: list[Packet]) -> list[Packet]:
    return [*packets[:3], packets[3]._replace(payload_type=13, payload=b"\x40", ssrc=5), *packets[3:]]


@pytest.mark.parametrize("change", [late, disordered, with_comfort_noise])
def test_what_changes_nothing(change: Callable[[list[Packet]], list[Packet]]) -> None:
    packets = capture(silence(100), SAMPLE, SPEECH)
    changed, unchanged = measure(change(list(packets))), measure(packets)
    assert changed == replace(unchanged, arrival_ms=changed.arrival_ms, voice_arrival_ms=changed.voice_arrival_ms)


def test_a_jump_of_the_timestamps_or_another_sender_begins_a_stretch_with_its_own_place() -> None:
    sound = capture(SAMPLE, begin_ms=40)
    voice = capture(SPEECH, begin_ms=533)
    jumped = [
        packet._replace(sequence=packet.sequence + len(sound) & 0xFFFF, timestamp=packet.timestamp + 99999 & 0xFFFFFFFF)
        for packet in voice
    ]
    for second in (jumped, [packet._replace(ssrc=78) for packet in voice]):
        heard = measure(sound + second)
        assert heard.complete
        assert (heard.onset_ms, heard.end_ms) == (pytest.approx(40), pytest.approx(480))
        assert heard.voice_ms == pytest.approx(533, abs=0.5)
        assert heard.lost == 0


def test_a_voice_after_the_sound_is_heard_after_it() -> None:
    """The voice's later packets may arrive in a burst, as after a pause of the sending phone."""
    sound, voice = capture(SAMPLE), capture(SPEECH, begin_ms=441)
    burst = [
        packet._replace(ssrc=78, arrival_ns=max(packet.arrival_ns - 18_000_000 * (number > 2), voice[2].arrival_ns))
        for number, packet in enumerate(voice)
    ]
    heard = measure(sound + burst)
    assert heard.complete
    assert heard.voice_ms == pytest.approx(440, abs=0.5)


def test_a_voice_whose_packets_come_between_those_of_the_sound_is_heard_over_it() -> None:
    voice = [packet._replace(ssrc=78) for packet in capture(SPEECH, begin_ms=415)]
    heard = measure(sorted([*capture(SAMPLE), *voice]))
    assert not heard.complete
    assert heard.voice_ms == pytest.approx(415, abs=2)


def test_a_restarted_sender_has_lost_nothing() -> None:
    first, second = capture(SAMPLE), capture(SPEECH, begin_ms=600)
    anew = [packet._replace(sequence=packet.sequence + 9000 & 0xFFFF) for packet in second]
    assert reassemble(first + anew).lost == 0


def test_the_recording_is_as_long_as_its_packets() -> None:
    recording = reassemble(capture(SAMPLE, lost=[4]))
    assert (recording.start_ns, len(recording.samples), recording.lost) == (ANSWERED_NS, len(SAMPLE), 1)
    assert not recording.samples[4 * FRAME : 5 * FRAME].any()


def test_voices_are_as_loud_as_a_talker_and_nothing_like_each_other() -> None:
    for voice in (CALLER, CALLED, ANNOUNCEMENT):
        assert len(voice) == PERIOD
        assert PERIOD % FRAME == 0
        assert np.sqrt(np.mean(voice.astype(float) ** 2)) == pytest.approx(LEVEL_RMS, rel=0.001)
    assert np.abs(np.corrcoef([CALLER, CALLED, ANNOUNCEMENT]) - np.eye(3)).max() < 0.1


def test_a_sound_that_asterisk_sends_late_is_whole_and_one_with_a_packet_less_is_not() -> None:
    packets, by = capture(SAMPLE, SPEECH), 6
    sound = packets[:4]
    late = [
        each._replace(arrival_ns=each.arrival_ns + by * FRAME_NS, timestamp=each.timestamp + by * FRAME & 0xFFFFFFFF)
        for each in packets[4:]
    ]
    assert not measure(sound + late).complete
    whole = hear_whole(sound + late, ANSWERED_NS, reference=SAMPLE, voice=CALLER)
    assert (whole.complete, whole.times) == (True, 1)
    assert whole.onset_ms == pytest.approx(0)
    assert whole.voice_ms == pytest.approx(440, abs=0.5)
    assert not hear_whole(sound + late[1:], ANSWERED_NS, reference=SAMPLE).complete


def test_the_beginning_of_a_sound_whose_first_packets_were_held_up_is_before_their_arrival() -> None:
    packets = capture(SAMPLE, SPEECH, begin_ms=-40)
    held = [packet._replace(arrival_ns=max(packet.arrival_ns, ANSWERED_NS + 5_000_000)) for packet in packets]
    heard = measure(held)
    assert heard.complete
    assert (heard.onset_ms, heard.arrival_ms) == (pytest.approx(-40), pytest.approx(5))
    assert heard.voice_arrival_ms == pytest.approx(400)


def test_a_sound_that_asterisk_sends_late_keeps_the_arrival_of_its_packets() -> None:
    packets, by = capture(silence(60), SAMPLE, SPEECH), 6
    late = [
        packet._replace(arrival_ns=packet.arrival_ns + by * FRAME_NS * (at > 5)) for at, packet in enumerate(packets)
    ]
    jumped = [
        packet._replace(timestamp=packet.timestamp + by * FRAME * (at > 5) & 0xFFFFFFFF)
        for at, packet in enumerate(late)
    ]
    whole = hear_whole(jumped, ANSWERED_NS, reference=SAMPLE, voice=CALLER)
    assert whole.complete
    assert (whole.onset_ms, whole.arrival_ms) == (pytest.approx(60), pytest.approx(60))
    assert whole.voice_ms == pytest.approx(500, abs=0.5)
    assert whole.voice_arrival_ms == pytest.approx(500 + by * 20)


@pytest.mark.parametrize("lost", range(1, 20))
def test_a_sound_that_is_played_again_is_whole_the_second_time_whatever_was_lost_of_the_first(lost: int) -> None:
    begun, again = capture(SAMPLE, lost=range(5, 5 + lost)), capture(SAMPLE, SPEECH)
    each = hear_each(in_order([*begun, *again]), 0, reference=SAMPLE)
    assert [heard.complete for heard in each][-1]
    assert not any(heard.complete for heard in each[:-1])


@pytest.mark.parametrize(("before_ms", "is_good"), [(0, True), (60, True), (1000, False)])
def test_parties_that_a_local_channel_connected_before_the_sound_are_noticed(before_ms: int, is_good: bool) -> None:
    """Some packets of a voice, which the channel held, may come before the sound."""

    def received(voice: Samples) -> list[Packet]:
        said = np.tile(voice, 6)
        return capture(said[: before_ms * 8], SAMPLE, said[before_ms * 8 : before_ms * 8 + 8000])

    called = SimpleNamespace(packets=received(voices.CALLER), answered_ns=ANSWERED_NS)
    placed: Any = SimpleNamespace(called=called, caller=SimpleNamespace(packets=received(voices.CALLED)), name="one")
    references = {"sample": SAMPLE, "notice": NOTICE}

    def judge() -> None:
        assert_heard_by(placed, {"called": "sample", "caller": "sample"}, references, through_local=True)

    if is_good:
        judge()
    else:
        with pytest.raises(AssertionError, match="came before the sound"):
            judge()
