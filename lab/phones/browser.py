"""A phone in a real Chromium, with JsSIP over a WebSocket, WebRTC, and its sound in WebAudio."""

import asyncio
import base64
import json
import tempfile
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import soundfile

from lab.asterisk import LOOPBACK
from lab.chromium import find_or_get_chromium

from .program import STARTS_WITHIN_S, Program
from .required_packages import bundle

FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--autoplay-policy=no-user-gesture-required", "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--mute-audio",
)  # fmt: skip
LOOK_S: Final = 0.05
PAGE: Final = """<!doctype html><title>phone</title><script src="jssip.js"></script><script>
const told = [], calls = [], recordings = [];
const tell = (what, call, more) => told.push(Object.assign({what, call: call ?? null}, more || {}));
addEventListener("error", event => tell("error", null, {why: String(event.message)}));
const context = new AudioContext({sampleRate: 16000});
const silence = context.createMediaStreamDestination();
const source = context.createOscillator(), gain = context.createGain();
gain.gain.value = 0.0003; source.connect(gain).connect(silence); source.start();
function record(call, stream) {
  const element = new Audio(); element.muted = true; element.srcObject = stream; element.play();
  const heard = context.createMediaStreamSource(stream), processor = context.createScriptProcessor(1024, 1, 1);
  recordings[call] = {chunks: [], heard, processor, element};
  processor.onaudioprocess = event => recordings[call].chunks.push(event.inputBuffer.getChannelData(0).slice());
  heard.connect(processor); processor.connect(context.destination);
}
function recorded(call) {
  const chunks = recordings[call] ? recordings[call].chunks : [];
  const samples = new Int16Array(chunks.length * 1024);
  chunks.forEach((chunk, at) => chunk.forEach((value, inside) => { samples[at * 1024 + inside] = value * 32767; }));
  const octets = new Uint8Array(samples.buffer); let text = "";
  for (let at = 0; at < octets.length; at += 8192) text += String.fromCharCode(...octets.subarray(at, at + 8192));
  return btoa(text);
}
JsSIP.debug.disable();
const agent = new JsSIP.UA({sockets: [new JsSIP.WebSocketInterface(SETTINGS.websocket)],
  uri: `sip:${SETTINGS.user}@127.0.0.1`, register: true, session_timers: false, user_agent: "lab"});
const media = {mediaStream: silence.stream, pcConfig: {iceServers: []}};
agent.on("registered", () => tell("ready"));
agent.on("registrationFailed", event => tell("refused", null, {why: String(event.cause)}));
agent.on("newRTCSession", ({session, originator}) => {
  const call = calls.length; calls.push(session);
  const take = event => record(call, new MediaStream([event.track]));
  const listen = connection => connection.addEventListener("track", take);
  session.on("peerconnection", event => listen(event.peerconnection));
  session.on("ended", () => tell("ended", call));
  session.on("failed", event => tell("ended", call, {why: event.cause}));
  session.on("confirmed", () => originator === "local" && tell("connected", call));
  if (originator === "remote") {
    tell("incoming", call);
    setTimeout(() => { session.answer(media); tell("answered", call); }, 20);
  } else if (session.connection) listen(session.connection);
});
agent.start();
</script>"""


class Browser(Program):
    """JsSIP in Chromium. Its events are read from the page."""

    name = "chromium"
    driver: Any = None

    @classmethod
    def fetch(cls) -> Path:
        with tempfile.TemporaryDirectory() as folder:
            find_or_get_chromium(Path(folder))
        return bundle("jssip", "lib/JsSIP.js", "JsSIP")

    @property
    def target(self) -> str:
        return self.endpoint

    async def __aenter__(self) -> Self:
        self._turn = asyncio.Lock()
        await asyncio.to_thread(self._open)
        self._reading = asyncio.create_task(self._look())
        try:
            await self.happened("ready", within_s=STARTS_WITHIN_S)
        except BaseException:
            await self.stop()
            raise
        return self

    def _open(self) -> None:
        from selenium.webdriver import Chrome, ChromeOptions, ChromeService

        (self.folder / "jssip.js").write_bytes(self.fetch().read_bytes())
        settings = {"websocket": self.pbx.websocket, "user": self.endpoint}
        page = self.folder / "phone.html"
        page.write_text(PAGE.replace("const told", f"const SETTINGS = {json.dumps(settings)};\nconst told", 1))
        found = find_or_get_chromium(self.folder / "home")
        chosen = ChromeOptions()
        chosen.binary_location = str(found.program)
        for flag in (*FLAGS, f"--user-data-dir={self.folder}/profile"):
            chosen.add_argument(flag)
        service = ChromeService(str(found.driver), env=dict(found.environment))
        self.driver = Chrome(options=chosen, service=service)
        self.driver.get(f"file://{page}")

    async def _look(self) -> None:
        while True:
            for told in await self._run("return told.splice(0)"):
                async with self._news:
                    self.told.append(told)
                    self._news.notify_all()
            await asyncio.sleep(LOOK_S)

    async def _run(self, script: str) -> Any:
        """Run a script in the page and return its result. Only one script runs at a time."""
        async with self._turn:
            return await asyncio.to_thread(self.driver.execute_script, script)

    async def stop(self) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self.driver:
            await asyncio.to_thread(self.driver.quit)
            self.driver = None

    async def dial(self, name: str) -> None:
        await self._run(f"agent.call('sip:{name}@{LOOPBACK}', media)")

    async def hang_up(self) -> None:
        await self._run("calls.forEach(call => call.isEnded() || call.terminate())")

    async def over(self, number: int) -> None:
        await self.happened("ended", number + 1)
        text = await self._run(f"return recorded({number})")
        samples = np.frombuffer(base64.b64decode(text), np.int16)
        soundfile.write(self.recording(number), samples, 16000)
