"""The detector in a real Chromium, on a page that is opened as a file. It hears a microphone, or a received track."""

import json
import time
import wave

import numpy as np
import pytest

from bench.verify.impaired_legs import sound_of
from bench.verify.profiles import profiles
from idtone.tones.detector.detector_bundle import detector_bundle
from idtone.tones.detector.profile_json import profile_json
from lab.chromium import find_or_get_chromium
from lab.tones.detector.corpus import RATE_HZ, speech_like
from lab.tones.profiles import make_profile, tone

PULSES = profiles()["two-pulses"]
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-dev-shm-usage", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
PAGE = """<!doctype html><meta charset="utf-8"><title>detector</title><script>{script}</script><script>
const found = [], told = {{ error: null, rate: null }};
const profile = idtoneDetector.profileFromJson({profile});
async function received(stream) {{
  const [one, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
  one.onicecandidate = event => event.candidate && other.addIceCandidate(event.candidate);
  other.onicecandidate = event => event.candidate && one.addIceCandidate(event.candidate);
  const track = new Promise(done => other.ontrack = event => done(event.track));
  stream.getTracks().forEach(each => one.addTrack(each, stream));
  await one.setLocalDescription();
  await other.setRemoteDescription(one.localDescription);
  await other.setLocalDescription();
  await one.setRemoteDescription(other.localDescription);
  const audio = document.body.appendChild(new Audio());
  audio.srcObject = new MediaStream([await track]);
  await audio.play();
  return track;
}}
async function start() {{
  const stream = await navigator.mediaDevices.getUserMedia(idtoneDetector.MICROPHONE);
  const source = {source};
  window.listening = await idtoneDetector.listen(source, profile, each => found.push(each));
}}
addEventListener("load", () => start().catch(error => told.error = String(error)));
</script><body></body>"""
WAIT_S = 90

pytestmark = pytest.mark.nightly


def _recording(path, sound):
    """Write a recording: speech, the sound, and speech again. Chromium plays it repeatedly."""
    chance = np.random.default_rng(7)
    pause = np.zeros(RATE_HZ // 4, np.float32)
    speech = [speech_like(3 * RATE_HZ, chance) for _ in range(2)]
    samples = np.concatenate([speech[0], pause, sound, pause, speech[1]])
    samples = np.interp(np.arange(6 * len(samples)) / 6, np.arange(len(samples)), samples)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 6 * RATE_HZ, 0, "NONE", ""))
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


@pytest.fixture
def page(tmp_path):
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    drivers = []

    def open_(sound, source):
        _recording(tmp_path / "heard.wav", sound)
        address = tmp_path / "page.html"
        profile = json.dumps(profile_json(PULSES))
        address.write_text(PAGE.format(script=detector_bundle(), profile=profile, source=source), "utf-8")
        chromium = find_or_get_chromium(tmp_path / "home")
        options = ChromeOptions()
        options.binary_location = str(chromium.program)
        for flag in (*FLAGS, f"--user-data-dir={tmp_path}/profile"):
            options.add_argument(flag)
        options.add_argument(f"--use-file-for-fake-audio-capture={tmp_path}/heard.wav")
        service = ChromeService(str(chromium.driver), env=dict(chromium.environment))
        drivers.append(Chrome(options=options, service=service))
        drivers[0].get(f"file://{address}")
        return drivers[0]

    yield open_
    for driver in drivers:
        driver.quit()


def _until(driver, condition):
    deadline_s = time.monotonic() + WAIT_S
    while not driver.execute_script(f"return Boolean({condition})"):
        state = driver.execute_script("return [told.error, found, Boolean(window.listening)]")
        assert state[0] is None, state
        assert time.monotonic() < deadline_s, state
        time.sleep(0.2)


HEARD = "found.some(each => ['conforms', 'present'].includes(each.verdict))"


@pytest.mark.parametrize("source", ["stream", "await received(stream)"], ids=["microphone", "received track"])
def test_the_sound_is_recognised(page, source):
    driver = page(sound_of(PULSES), source)
    _until(driver, HEARD)
    result = driver.execute_async_script("listening.stop().then(arguments[0])")
    assert result["verdict"] in ("conforms", "present")


def test_another_sound_is_not(page):
    driver = page(sound_of(make_profile(tone(425, on_ms=100, off_ms=100), tone(425, on_ms=100))), "stream")
    # The recording has been heard twice, whatever the machine's speed.
    _until(driver, "window.listening && listening.detector.heardS > 16")
    assert not driver.execute_script(f"return {HEARD}")
