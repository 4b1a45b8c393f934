"""What else can listen for two pulses of 400 Hz: Asterisk's TONE_DETECT, in a real Asterisk, and spandsp.

Both are set as well as they can be for this sound: the shortest tone that they take is below the pulse's length.
"""

from __future__ import annotations

import ctypes
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np

from idtone.tones.profile import Profile
from idtone.tones.verification.verify import Verifier
from tests.lab import bootstrap, packages
from tests.lab.asterisk import MODULES, Asterisk

from .conditions import Trial
from .material import RATE_HZ, Signal

PULSE_MS: Final = 100
_SHORTEST_MS: Final = 70
"""Of 100 ms: both detectors look at blocks and lose one at an edge."""
_AT_ONCE: Final = 60
"""Calls that play side by side; more of them would be late on two processors."""


class Ours:
    """The verifier: a leg is taken for the sound where it conforms."""

    name = "idtone"

    def __init__(self, profile: Profile) -> None:
        self._verifier = Verifier(profile)

    def hits(self, legs: Sequence[Trial]) -> list[int]:
        """How often each leg was taken for the sound."""
        reports = [self._verifier.verify(leg.samples, RATE_HZ, leg.lost) for leg in legs]
        return [sum(finding.verdict == "conforms" for finding in report.findings) for report in reports]


class ToneDetect:
    """Asterisk's TONE_DETECT(400): a leg is taken for the sound where it counts two tones or more."""

    name = "Asterisk TONE_DETECT"

    def __enter__(self) -> ToneDetect:
        with ExitStack() as opened:
            self._scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="idtone-rival-")))
            installation = bootstrap.find_or_get()
            self._asterisk = opened.enter_context(Asterisk(installation, self._scratch / "pbx", self._files()))
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _files(self) -> dict[str, str]:
        """The modules and the dialplan: each leg is played on one half of a Local channel and heard on the other."""
        modules = "".join(f"load = {name}.so\n" for name in (*MODULES, "res_tonedetect"))
        dialplan = f"""
            [rival-play]
            exten = _t.,1,Answer()
             same = n,Wait(0.1)
             same = n,Playback({self._scratch}/${{EXTEN}})
             same = n,Hangup()
            [rival-listen]
            exten = _t.,1,Set(RIVAL=${{EXTEN}})
             same = n,Answer()
             same = n,Set(TONE_DETECT(400,{_SHORTEST_MS},r)=)
             same = n,Wait(600)
            exten = h,1,Set(DB(rival/${{RIVAL}})=${{TONE_DETECT(rx)}})
        """
        return {"modules.conf": f"[modules]\nautoload = no\n{modules}", "extensions.conf": dialplan}

    def hits(self, legs: Sequence[Trial]) -> list[int]:
        """How often each leg was taken for the sound: the pairs of tones in it."""
        found: list[int] = []
        for first in range(0, len(legs), _AT_ONCE):
            found += self._hits_at_once([leg.samples for leg in legs[first : first + _AT_ONCE]])
        return found

    def _hits_at_once(self, legs: Sequence[Signal]) -> list[int]:
        self._asterisk.command("database deltree rival")
        for number, leg in enumerate(legs):
            (self._scratch / f"t{number}.sln").write_bytes(_pcm(leg).tobytes())
            self._asterisk.command(f"channel originate Local/t{number}@rival-play/n extension t{number}@rival-listen")
        deadline_s = time.monotonic() + max(len(leg) for leg in legs) / RATE_HZ + 20
        while True:
            shown = self._asterisk.command("database show rival")
            counted = {int(number): int(hits or 0) for number, hits in re.findall(r"/rival/t(\d+)\s*: *(\d*)", shown)}
            if len(counted) == len(legs):
                return [counted[number] // 2 for number in range(len(legs))]
            if time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"Asterisk judged {len(counted)} of {len(legs)} legs:\n{self._asterisk.log()[-2000:]}"
                )
            time.sleep(0.3)


class Spandsp:
    """spandsp's super_tone_rx, told of two pulses of 400 Hz and the pause between them."""

    name = "spandsp super_tone_rx"

    def __init__(self) -> None:
        self._library = library = packages.library("libspandsp2t64", "libspandsp.so.2")
        for function in (library.super_tone_rx_make_descriptor, library.super_tone_rx_init):
            function.restype = ctypes.c_void_p
        self._descriptor = ctypes.c_void_p(library.super_tone_rx_make_descriptor(None))
        tone = library.super_tone_rx_add_tone(self._descriptor)
        longest_ms = 2 * PULSE_MS - _SHORTEST_MS
        for frequency_hz in (400, 0, 400):
            library.super_tone_rx_add_element(self._descriptor, tone, frequency_hz, 0, _SHORTEST_MS, longest_ms)
        self._report = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int)

    def hits(self, legs: Sequence[Trial]) -> list[int]:
        """How often each leg was taken for the sound."""
        return [self._hits(leg.samples) for leg in legs]

    def _hits(self, leg: Signal) -> int:
        heard: list[int] = []
        report = self._report(lambda user, code, level, delay: heard.append(code))
        listening = ctypes.c_void_p(self._library.super_tone_rx_init(None, self._descriptor, report, None))
        pcm = np.concatenate((_pcm(leg), np.zeros(RATE_HZ // 2, np.int16)))
        try:
            for place in range(0, len(pcm) - 160, 160):
                block = ctypes.c_void_p(pcm.ctypes.data + 2 * place)
                self._library.super_tone_rx(listening, block, 160)
        finally:
            self._library.super_tone_rx_free(listening)
        return sum(code >= 0 for code in heard)


def _pcm(leg: Signal) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.clip(np.rint(leg * 32768), -32768, 32767).astype(np.int16)
