"""The application as the tests of this folder need it: the registry of one licensed and one suspended number."""

from __future__ import annotations

from idtone.ari_app.application import AriApplication
from idtone.tones.making.sounds import Sound

from ..ari_app.fakes import Notebook, call_control


async def read_journal() -> None:
    """It has no lines."""


def application(sounds: dict[str, Sound], notebook: Notebook) -> AriApplication:
    return AriApplication(call_control(sounds, notebook), read_journal)
