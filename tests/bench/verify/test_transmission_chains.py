import numpy as np
import pytest

from bench.verify import transmission_chains
from bench.verify.jobs import verifier
from bench.verify.profiles import profiles
from bench.verify.speech_and_music import RATE_HZ, Part
from bench.verify.transmission_chains import CHAINS, DAMAGES, LOSSES, ROOMS, WHOLE, chain_trial

SAMPLE = profiles()["sample"]


def verdict(chain, damage, number=0):
    trial = chain_trial(SAMPLE, chain, damage, Part.HELD_OUT, number)
    return verifier("sample").verify(trial.samples, RATE_HZ).verdict


BY_DAY = ("G.711", "G.722", "AMR", "Opus", "Speex, its suppression, playout")
"""Chains of `make test`: one for each kind of codec, and one with everything that a phone does. The others run at
night.
"""
assert {*BY_DAY} <= CHAINS.keys()


@pytest.mark.parametrize(
    "chain", [pytest.param(each, marks=() if each in BY_DAY else pytest.mark.nightly) for each in CHAINS]
)
def test_a_chain_without_loss_keeps_the_sound_and_repairs_none(chain):
    assert verdict(chain, WHOLE) in ("conforms", "present")
    assert verdict(chain, "half of every burst missing") != "conforms"


def test_a_trial_repeats_and_fifteen_in_a_row_have_all_losses_and_rooms(monkeypatch):
    first, again = (chain_trial(SAMPLE, "AMR", WHOLE, Part.DEVELOPMENT, 9) for _ in range(2))
    assert np.array_equal(first.samples, again.samples)
    seen = []
    monkeypatch.setattr(
        transmission_chains, "lost_packets", lambda count, loss, chance: seen.append(loss) or np.zeros(count, bool)
    )
    rooms = []
    monkeypatch.setattr(
        transmission_chains.rooms_and_phones, "add_room", lambda heard, chance, *room: rooms.append(room) or heard
    )
    for number in range(15):
        chain_trial(SAMPLE, "G.711", WHOLE, Part.DEVELOPMENT, number)
        assert len(rooms) == (number + 1) * 2 // 3, "a short run has all rooms too"
    assert sorted(seen) == pytest.approx(sorted(LOSSES * 3))
    assert len(rooms) == 10
    assert set(rooms) == {room for room in ROOMS.values() if room}


def test_losses_are_as_frequent_as_asked_and_come_in_short_bursts():
    lost = transmission_chains.lost_packets(200_000, 0.05, np.random.default_rng(1))
    assert lost.mean() == pytest.approx(0.05, rel=0.05)
    bursts = int(np.sum(lost[1:] & ~lost[:-1]))
    assert lost.sum() / bursts == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize(
    ("damage", "least_ms", "most_ms"),
    [
        ("70 % of a burst missing", 84, 112),
        ("half of every burst missing", 200, 200),
        ("first 80 ms missing", 80, 80),
        ("last 80 ms missing", 80, 80),
    ],
)
def test_a_damaged_sound_lacks_what_its_name_says(damage, least_ms, most_ms):
    whole = transmission_chains.sound_of(SAMPLE)
    damaged = DAMAGES[damage](SAMPLE, np.random.default_rng(1))
    # A sine is zero now and then.
    missing_ms = np.sum(np.abs(whole - damaged) > 1e-6) * 1000 / RATE_HZ
    assert 0.95 * least_ms < missing_ms < 1.01 * most_ms


def test_one_burst_more_follows_the_whole_sound():
    whole = transmission_chains.sound_of(SAMPLE)
    longer = DAMAGES["one burst more"](SAMPLE, np.random.default_rng(1))
    assert np.array_equal(longer[: len(whole)], whole)
    first = round(SAMPLE.bursts()[0].end_ms * RATE_HZ / 1000)
    assert np.array_equal(longer[-first:], whole[:first])
    assert not longer[len(whole) : -first].any()
