"""Page 3, which joins the detector and its profiles into one plain script. The detector in these tests only reports its
input.
"""

import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from idtone.office.commands.site import detector
from idtone.office.site.site_folder import recognise_script
from lab.node_js import find_or_get_node

DETECTOR = """\
const idtoneDetector = {
  profileFromJson: (json) => json.id,
  detect: (samples, rate, profile) => (
    { verdict: samples.length === 2 * rate && profile === "notice" ? "conforms" : "absent", at_s: 1.25 }),
};
"""
# The parts of a browser that the page uses for one recording.
BROWSER = """
const parts = { result: "", sound: { value: "notice", selectedOptions: [{ textContent: "通知音" }] }, href: "" };
const part = (id) => ({
  id, b: { textContent: "" }, span: { textContent: "" }, querySelector(name) { return this[name]; },
});
const template = (id) => ({ content: { cloneNode: () => part(id) } });
const voicemail = { name: "voicemail.wav", arrayBuffer: async () => new ArrayBuffer(0) };
globalThis.document = {
  getElementById: (id) => ({
    result: { replaceChildren: (shown) => { parts.result = shown; }, querySelector: () => ({ textContent: "合う" }) },
    sound: parts.sound,
    file: { files: [voicemail], addEventListener: (_, act) => { parts.act = act; } },
    microphone: { addEventListener() {} },
  })[id] ?? template(id),
  querySelector: () => ({ set href(to) { parts.href = to; } }),
};
globalThis.OfflineAudioContext = class {
  constructor(_, frames) { this.frames = frames; }
  async decodeAudioData() { return { duration: 2 }; }
  createBufferSource() { return { connect() {}, start() {} }; }
  async startRendering() { return { getChannelData: () => new Float32Array(this.frames) }; }
};
"""
END = """
parts.act().then(() => {
  const { id, b, span } = parts.result;
  console.log(JSON.stringify([id, b.textContent, span.textContent, parts.href]));
});
"""


@pytest.fixture
def made_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any
    for name, given in (
        ("", {}),
        (".detector_bundle", {"detector_bundle": lambda: DETECTOR}),
        (".profile_json", {"profile_json": lambda profile: json.dumps({"id": profile.id})}),
    ):
        package = ModuleType(f"idtone.tones.detector{name}")
        package.__spec__ = sys.__spec__
        package.__path__ = []
        vars(package).update(given)
        monkeypatch.setitem(sys.modules, package.__name__, package)


def test_the_page_judges_a_recording_with_the_chosen_profile_and_tells_the_report(made_detector, tmp_path):
    found = detector()
    assert found is not None
    assert found.titles["sample"] == {
        "ja": "見本音(協会標準識別音ではない)",
        "en": "Sample sound (not the association's sound)",
    }
    script = tmp_path / "recognise.js"
    script.write_text(BROWSER + recognise_script(found.script) + END, "utf-8")
    done = subprocess.run([*find_or_get_node(), script], capture_output=True, text=True, check=True)
    judged, at, name, link = json.loads(done.stdout)
    assert (judged, at, name) == ("conforms", "1.3", "通知音"), "the verdict names the sound that was chosen"
    assert link.startswith("report.html#heard=")
    assert "voicemail.wav" in link


def test_without_the_detector_there_is_no_page_and_no_link_to_it(built):
    site = built / "site"
    if (site / "recognise.js").exists():
        assert 'href="recognise.html"' in (site / "index.html").read_text("utf-8")
    else:
        assert not (site / "recognise.html").exists()
        assert "recognise.html" not in "".join(path.read_text("utf-8") for path in site.rglob("*.html"))
