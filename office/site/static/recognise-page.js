// Stands behind the detector (`idtoneDetector`) and its profiles (`PROFILES`) in one plain script: a page that is opened from a
// file may load no modules.

const { detect, profileFromJson } = idtoneDetector;
const LISTENS_MS = 15000;
const RATE_HZ = 16000;
const [result, file, sound, microphone] = ["result", "file", "sound", "microphone"].map((id) => document.getElementById(id));

function show(id, at) {
  const part = document.getElementById(id).content.cloneNode(true);
  const [place, name] = [part.querySelector("b"), part.querySelector("span")];
  if (name) name.textContent = sound.selectedOptions[0].textContent;
  if (place && at !== null) place.textContent = at.toFixed(1);
  result.replaceChildren(part);
}
async function judge(bytes, name) {
  show("busy", null);
  try {
    const whole = await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(bytes);
    const context = new OfflineAudioContext(1, Math.max(1, Math.ceil(whole.duration * RATE_HZ)), RATE_HZ);
    const source = context.createBufferSource();
    source.buffer = whole;
    source.connect(context.destination);
    source.start();
    const samples = (await context.startRendering()).getChannelData(0);
    const found = detect(samples, RATE_HZ, profileFromJson(PROFILES[sound.value]));
    show(found.verdict, found.at_s);
    const known = new URLSearchParams({ heard: `${result.querySelector("strong").textContent} (${name})` });
    document.querySelector("a.report").href = `report.html#${known}`;
  } catch {
    show("unreadable", null);
  }
}
file.addEventListener("change", async () => {
  if (file.files[0]) await judge(await file.files[0].arrayBuffer(), file.files[0].name);
});
microphone.addEventListener("click", async () => {
  try {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
    const recorder = new MediaRecorder(stream);
    const parts = [];
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.addEventListener("stop", async () => {
      for (const track of stream.getTracks()) track.stop();
      judge(await new Blob(parts).arrayBuffer(), "");
    });
    show("busy", null);
    recorder.start();
    setTimeout(() => recorder.stop(), LISTENS_MS);
  } catch {
    show("unreadable", null);
  }
});
