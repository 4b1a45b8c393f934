"""A sound that does not match the registry in use counts as missing."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idtone.call_control.playable_sounds import PlayableSounds
from idtone.registry.index import RegistryIndex
from idtone.registry.sources import parse_document
from idtone.tones.making.sound_files import Sound
from idtone.tones.profile import Profile, build_profile

RIGHT, WRONG = "a" * 64, "b" * 64


def registry(*tones: str) -> RegistryIndex:
    header = "{association: JUSA, version: 1, issued: 2026-11-01T00:00:00+09:00, expires: 2026-12-01T00:00:00+09:00}"
    text = f"registry: {header}\ntones: [{', '.join(tones)}]\nmembers: []\n"
    return RegistryIndex(parse_document(text, "registry.yaml"))


def tone(profile_id: str, sha256: str | None) -> str:
    return f"{{id: {profile_id}, title: T{f', sha256: {sha256}' if sha256 else ''}}}"


def profile(profile_id: str, **more: object) -> Profile:
    return build_profile({"id": profile_id, "title": "T", "level_dbm0": -16} | more, "test")


def recording(profile_id: str, sha256: str = RIGHT, standard: bool = False) -> Profile:
    return profile(profile_id, standard=standard, recording="m.wav", sha256=sha256, trim={"to_ms": 100})


NOTICE = profile("notice", segments=[{"frequencies_hz": [600], "on_ms": 100}])
SAMPLE = profile("sample", segments=[{"frequencies_hz": [700], "on_ms": 100}])
STANDARD = recording("standard", standard=True)
OWN = recording("own")
PROFILES = (NOTICE, SAMPLE, STANDARD, OWN)
SOUNDS = {each.id: Sound(Path(each.id), 100, ()) for each in PROFILES}


class Generations:
    """A source with the current generation of the registry."""

    def __init__(self, current: RegistryIndex | None) -> None:
        self.current = current
        self.asked_by_others = False

    def __call__(self) -> RegistryIndex | None:
        current = self.current
        self.asked_by_others |= threading.current_thread() is not threading.main_thread()
        return current


@pytest.mark.parametrize(
    ("current", "playable"),
    [
        (None, {"notice", "sample"}),
        (registry(), {"notice", "sample", "own"}),
        (registry(tone("standard", RIGHT), tone("sample", None)), {"notice", "sample", "own", "standard"}),
        (registry(tone("standard", WRONG)), {"notice", "sample", "own"}),
        (registry(tone("standard", None)), {"notice", "sample", "own"}),
        (registry(tone("own", WRONG), tone("standard", RIGHT)), {"notice", "sample", "standard"}),
        (registry(tone("sample", RIGHT)), {"notice", "own"}),
    ],
)
def test_which_sounds_are_playable(current, playable):
    sounds = PlayableSounds(SOUNDS, PROFILES, Generations(current))
    assert set(sounds) == playable
    assert len(sounds) == len(playable)
    assert {name: sounds.get(name) for name in SOUNDS} == {
        name: SOUNDS[name] if name in playable else None for name in SOUNDS
    }


def test_a_slow_review_does_not_restore_an_older_generation():
    generations = Generations(registry(tone("standard", WRONG)))
    sounds = PlayableSounds(SOUNDS, PROFILES, generations)
    sounds.review()
    generations.current = registry(tone("standard", WRONG), tone("own", RIGHT))
    newest = registry(tone("standard", RIGHT))
    sounds._reviewing.acquire()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: "standard" in sounds)
        while not generations.asked_by_others:
            time.sleep(0.001)
        generations.current = newest
        sounds._reviewing.release()
        assert waiting.result(60)
    assert "standard" in sounds


def test_each_mismatch_is_logged_once_per_generation(caplog):
    caplog.set_level(logging.ERROR)
    generations = Generations(registry(tone("standard", WRONG)))
    sounds = PlayableSounds(SOUNDS, PROFILES, generations)
    sounds.review()
    for _ in range(3):
        assert "standard" not in sounds
    assert len(caplog.messages) == 1
    assert "'standard' is not played: its recording has the SHA-256 aaaa" in caplog.messages[0]
    generations.current = registry(tone("standard", RIGHT))
    assert "standard" in sounds
    assert len(caplog.messages) == 1
    generations.current = registry(tone("standard", WRONG))
    sounds.review()
    assert "standard" not in sounds
    assert len(caplog.messages) == 2
