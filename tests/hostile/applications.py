"""The application as the tests of this folder need it: the registry of one licensed and one suspended number."""

from __future__ import annotations

import time
from collections.abc import Callable

from idtone.ari_app.application import Application
from idtone.decision import Policy
from idtone.switchboard.board import Switchboard
from idtone.tones.making.sounds import Sound

from ..ari_app.test_application import NOW, Licensed, Notebook


def application(
    sounds: dict[str, Sound], notebook: Notebook, clock_s: Callable[[], float] = time.monotonic
) -> Application:
    board = Switchboard(registry=Licensed, policy=Policy(), sounds=sounds, evidence=notebook, now=lambda: NOW)
    return Application(board, clock_s)
