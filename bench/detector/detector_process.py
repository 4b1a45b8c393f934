"""The browser's detector in a Node process, which judges one leg after the other."""

import json
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from idtone.tones.detector.profile_json import profile_json
from idtone.tones.profile import Profile
from lab import npm
from lab.node_js import find_or_get_node
from lab.repository import ROOT

DETECTOR: Final = ROOT / "tones" / "detector"
BESIDE: Final = Path(__file__).parent
WEB_AUDIO: Final = "node-web-audio-api@1.0.9"
"""The newest version that runs on Node 18."""
RATE_HZ: Final = 8000


@dataclass(frozen=True, slots=True)
class DetectorResult:
    result: dict[str, Any]
    found: list[dict[str, Any]]
    cpu_s: float


class DetectorProcess(AbstractContextManager["DetectorProcess"]):
    """The detector's Node process, as a context manager.

    Samples and profiles for Node are written into `folder`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [*find_or_get_node(), str(BESIDE / "judge.mjs"), str(DETECTOR)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()

    def judge(self, profile: Profile, samples: NDArray[np.float32], *, stream: bool = False) -> DetectorResult:
        """Run the detector on samples at 8 kHz."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        job = {"profile": self._profile(profile), "file": self._samples(samples), "rate": RATE_HZ, "stream": stream}
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        return DetectorResult(**json.loads(process.stdout.readline()))

    def judge_in_web_audio(self, profile: Profile, samples: NDArray[np.float32]) -> dict[str, Any]:
        """Run the detector in Web Audio, with `node-web-audio-api`.

        Raises PackagesUnavailable.
        """
        command = [*find_or_get_node(), str(BESIDE / "hear.mjs"), str(DETECTOR)]
        files = [self._profile(profile), self._samples(samples), str(RATE_HZ)]
        done = subprocess.run(
            [*command, *files],
            cwd=npm.installed(WEB_AUDIO),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _profile(self, profile: Profile) -> str:
        file = self._folder / f"{profile.id}.json"
        if not file.exists():
            file.write_text(profile_json(profile), "utf-8")
        return str(file)

    def _samples(self, samples: NDArray[np.float32]) -> str:
        file = self._folder / "leg.f32"
        samples.astype("<f4").tofile(file)
        return str(file)
