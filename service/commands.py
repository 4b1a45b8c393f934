"""`idtone serve`."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import sys
from typing import Annotated, Final

import phonenumbers.data.region_JP  # noqa: F401 — else the first call waits for it
import typer

from idtone.console import ConfigOption
from idtone.errors import IdtoneError, TrustError
from idtone.registry.source import load_registry
from idtone.settings import Settings, load_settings
from idtone.tones.library import load_library

from .assembly import load
from .instance import Instance

log = logging.getLogger(__name__)

SWITCH_S: Final = 0.001
"""How long a thread that computes keeps the event loop waiting for its turn; Python's own is 5 ms, half of what a call
may be delayed."""
UNUSABLE_SETTINGS: Final = 78
"""EX_CONFIG of sysexits.h: systemd does not start again what would only fail again."""

TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Take over from the instance that runs, without losing a call.")
]
Check = Annotated[
    bool, typer.Option("--check", help="Read the settings and what they name, say what is wrong, and end.")
]


def serve(config: ConfigOption = None, take_over: TakeOver = False, check: Check = False) -> None:
    """Answer Asterisk's requests until SIGTERM or SIGINT. Calls in progress go on without it.

    Exit 1: evidence was left that could not be written; the next start enters a gap in its place. Exit 78: the settings
    cannot be used.
    """
    try:
        settings = load_settings(config)
        password = settings.ari.secret()
        if check:
            check_settings(settings)
    except IdtoneError as error:
        print(f"idtone: {error}", file=sys.stderr)
        raise typer.Exit(UNUSABLE_SETTINGS) from None
    if check:
        print("the settings can be used")
        return
    logging.basicConfig(level=settings.log.level.upper(), format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.getLogger("tuf").setLevel(logging.WARNING)  # it tells of each key that has not signed where enough have
    faulthandler.enable()  # tells where the loop stood still when a watchdog ends us
    instance = Instance(settings, password, load(settings))
    loop_first()
    try:
        asyncio.run(instance.live(take_over))
    except asyncio.CancelledError:
        log.warning("told to stop again: requests on their way are not waited for")
        raise typer.Exit(1) from None
    if instance.unwritten:
        raise typer.Exit(1)  # the ledger has told


def check_settings(settings: Settings) -> None:
    """Read what the settings name, and change nothing. Raises IdtoneError."""
    load_library(settings.sounds.profiles).for_calls()
    settings.agi_secret()
    root = settings.registry.root()
    if root is None:
        load_registry(settings.registry.file())
    else:
        from idtone.registry.trust.client import trusted_root  # as below

        try:
            trusted_root(root)
        except OSError as error:
            raise TrustError(f"{root}: {error.strerror}") from error


def loop_first() -> None:
    """Keep the event loop from standing still while a thread reads a registry: neither for the thread's turn, nor while
    everything that was loaded by now is searched for garbage, of which there is none in it.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
