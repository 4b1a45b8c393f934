"""`idtone serve`: everything put together, in one process."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

from .agi.application import AgiApplication
from .agi.server import FastAgiServer
from .ari_app.application import Application
from .ari_app.connection import connect
from .ari_app.service import Service
from .console import ConfigOption
from .ledger.key_file import load_key
from .ledger.store import LedgerReader, LedgerWriter
from .ledger.tokens import Tokens
from .registry.index import RegistryIndex
from .registry.source import RegistrySource
from .settings import CallerHears, Settings, load_settings
from .switchboard import alone
from .switchboard.board import Switchboard
from .switchboard.proven import ProvenSounds
from .systemd import ServiceManager
from .tones.library import load_library
from .tones.making.sounds import ensure_sounds

log = logging.getLogger(__name__)


def serve(config: ConfigOption = None) -> None:
    """Answer Asterisk's questions until SIGTERM or SIGINT; sounds that are being played are let end."""
    settings = load_settings(config)
    password = settings.ari.secret()
    logging.basicConfig(level=settings.log.level.upper(), format="%(asctime)s %(levelname)s %(message)s", force=True)
    faulthandler.enable()  # where the loop stood still, when a watchdog ends us
    with ExitStack() as resources:
        board, refresh = _assemble(settings, resources)
        asyncio.run(_until_stopped(settings, password, board, refresh))


def _assemble(settings: Settings, resources: ExitStack) -> tuple[Switchboard, Callable[[], None]]:
    """The switchboard, and what takes up a changed registry."""
    profiles = load_library(settings.sounds.profiles).for_calls()
    sounds = ensure_sounds(settings.sounds.directory, profiles)
    for sound in sounds.values():
        for file in sound.files:
            if file.written:
                log.info("made %s", file.path)
    tokens = Tokens(load_key(settings.ledger.key_file))
    evidence = resources.enter_context(LedgerWriter.open(settings.ledger.url, settings.node))
    policy = settings.policy.policy()
    source = RegistrySource(settings.registry.source)
    source.refresh()
    proven = ProvenSounds(sounds, profiles, lambda: source.current)
    switchboard = Switchboard(
        registry=lambda: source.current,
        policy=policy,
        sounds=proven,
        evidence=evidence,
        tokens=tokens,
        caller_hears=settings.policy.caller_hears,
        remembered={} if source.current else alone.remembered(settings.sounds.directory),
    )
    with LedgerReader.open(settings.ledger.url) as reader:
        switchboard.recall(reader.open_calls(datetime.now(UTC)))

    left: RegistryIndex | None = None

    def leave() -> None:
        # Without a registry the suspensions of the last one stay: nothing but a newer registry lifts one.
        nonlocal left
        registry = source.current
        if registry and registry is not left:
            answer_first = settings.policy.caller_hears is CallerHears.ANSWERED
            text = alone.render(registry.suspensions(), policy, settings.policy.service_away, answer_first)
            alone.leave(settings.sounds.directory, text)
            left = registry

    def refresh() -> None:
        source.refresh()
        proven.review()
        leave()

    proven.review()
    leave()
    return switchboard, refresh


async def _until_stopped(settings: Settings, password: str, board: Switchboard, refresh: Callable[[], None]) -> None:
    ari, application = settings.ari, Application(board)
    service = Service(application, lambda: connect(ari.url, ari.user, password, ari.transport), refresh)
    door = FastAgiServer(AgiApplication(board, lambda: application.connected).answer)
    manager = ServiceManager.of(os.environ)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def status() -> str:
        if stop.is_set():
            return "stopping: the last sounds are being played"
        reached = "ARI is connected" if application.connected else "Asterisk's ARI cannot be reached"
        return f"serving: {reached}, AGI at {settings.agi.listen}"

    async with door.listening(settings.agi.address()):
        # Asterisk may be started later; then there is nobody who could ask, and nothing to wait for.
        manager.tell("READY=1")
        telling = asyncio.create_task(manager.attend(status))
        try:
            await service.run(stop)
        finally:
            telling.cancel()
            manager.tell("STOPPING=1")
