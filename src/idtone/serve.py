"""`idtone serve`: everything put together, in one process, from its start to its end."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from . import succession
from .agi.application import AgiApplication
from .agi.server import FastAgiServer, Limits, Listener, bound_to
from .ari_app.application import Application
from .ari_app.connection import AriConnection, connect
from .ari_app.service import Service
from .console import ConfigOption
from .errors import AriError, UsageError
from .ledger import steps
from .ledger.acts import record_requests
from .ledger.approval import Rules
from .ledger.custody import Custody
from .ledger.pending import Pending
from .ledger.reader import LedgerReader
from .ledger.retention import forget_in_time
from .ledger.shipping import Shipping
from .ledger.sqlite import path_of
from .ledger.witness.client import Cosigning
from .ledger.writer import LedgerWriter
from .registry.index import RegistryIndex
from .registry.source import FileSource, SignedSource, Source
from .registry.trust.client import Repository
from .settings import CallerHears, RegistrySettings, Settings, SuspendedCalls, load_settings
from .switchboard import alone
from .switchboard.board import Evidence, Switchboard
from .switchboard.hook_log import HookLog, enter_for_ever
from .switchboard.proven import ProvenSounds
from .systemd import ServiceManager
from .tones.library import load_library
from .tones.making.sounds import Sound, ensure_sounds
from .tones.profile import Profile

log = logging.getLogger(__name__)

BEYOND_THE_SOUND_S: Final = 1.0
"""How much longer than the longest sound a stop waits for what Asterisk plays by itself."""
AGI_DRAIN_S: Final = 1.0
SWITCH_S: Final = 0.001
"""How long a thread that computes keeps the event loop waiting for its turn; Python's own is 5 ms, half of what a call
may be delayed."""

TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Take over from the instance that runs, without losing a call.")
]


def serve(config: ConfigOption = None, take_over: TakeOver = False) -> None:
    """Answer Asterisk's questions until SIGTERM or SIGINT; sounds that are being played are let end.

    Exit 1: evidence was left that could not be written; the next start enters a gap in its place.
    """
    settings = load_settings(config)
    password = settings.ari.secret()
    logging.basicConfig(level=settings.log.level.upper(), format="%(asctime)s %(levelname)s %(message)s", force=True)
    faulthandler.enable()  # tells where the loop stood still when a watchdog ends us
    instance = Instance(settings, password, _load(settings))
    loop_first()
    try:
        asyncio.run(instance.live(take_over))
    except asyncio.CancelledError:
        log.warning("told to stop again: what was being played is not waited for")
        raise typer.Exit(1) from None
    if instance.unwritten:
        raise typer.Exit(1)  # the ledger has told


def loop_first() -> None:
    """Keep the event loop from standing still while a thread reads a registry: neither for the thread's turn, nor while
    everything that was loaded by now is searched for garbage, of which there is none in it.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Loaded:
    """What an instance has before it begins."""

    profiles: tuple[Profile, ...]
    sounds: dict[str, Sound]
    custody: Custody
    source: Source


def _load(settings: Settings) -> Loaded:
    profiles = load_library(settings.sounds.profiles).for_calls()
    sounds = ensure_sounds(settings.sounds.directory, profiles)
    for sound in sounds.values():
        for file in sound.files:
            if file.written:
                log.info("made %s", file.path)
    source = source_of(settings.registry)
    source.refresh()
    HookLog(settings.sounds.directory).make()
    return Loaded(profiles, sounds, Custody.of(settings.ledger, settings.node), source)


def source_of(registry: RegistrySettings) -> Source:
    root = registry.root()
    if root is None:
        log.warning("the registry is unsigned: whoever can write %s is believed", registry.source)
        return FileSource(registry.file())
    return SignedSource(Repository(root, registry.source, registry.cache), registry.poll.total_seconds())


def _assemble(settings: Settings, loaded: Loaded, evidence: Evidence) -> tuple[Switchboard, Callable[[], None]]:
    """The switchboard, and what takes up a changed registry."""
    source, policy = loaded.source, settings.policy.policy()
    proven = ProvenSounds(loaded.sounds, loaded.profiles, lambda: source.current)
    switchboard = Switchboard(
        registry=lambda: source.current,
        policy=policy,
        sounds=proven,
        evidence=evidence,
        caller_hears=settings.policy.caller_hears,
        hang_up_suspended=settings.policy.suspended_calls is SuspendedCalls.HANG_UP,
        remembered={} if source.current else alone.remembered(settings.sounds.directory),
    )
    with LedgerReader.open(settings.ledger.own(), loaded.custody.days) as reader:
        now = datetime.now(UTC)
        switchboard.recall(reader.open_calls(now))
        for call_id in reader.lost_calls(now):
            switchboard.record(steps.interrupted(call_id, now))

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


def _tell_failure(task: asyncio.Task[None]) -> None:
    """Calls go on without it; that it has ended must not go unnoticed."""
    if not task.cancelled() and task.exception():
        log.error(
            "%s has ended until the next start; report this as a fault", task.get_name(), exc_info=task.exception()
        )


@dataclass
class Inheritance:
    """What an instance has from the one before it."""

    listener: Listener | None = None
    ari: AriConnection | None = None
    sounding: list[dict[str, Any]] = field(default_factory=list)


class Instance:
    """One `idtone serve`: it may take over from one, and hand over to another."""

    def __init__(self, settings: Settings, password: str, loaded: Loaded) -> None:
        self._settings = settings
        self._password = password
        self._loaded = loaded
        self._manager = ServiceManager.of(os.environ)
        self._succession = succession.place(path_of(settings.ledger.own()))
        self._stop = asyncio.Event()
        self._next: subprocess.Popen[bytes] | None = None
        self._handing_over = False
        self._evidence: LedgerWriter | None = None
        self._shipping: Shipping | None = None

    @property
    def unwritten(self) -> bool:
        """Whether evidence was left that could not be written."""
        return self._evidence is not None and self._evidence.unwritten is not None

    async def live(self, take_over: bool) -> None:
        """Until a signal has told to stop, or the next instance has taken over; a second signal cancels this."""
        async with AsyncExitStack() as resources:
            line = resources.enter_context(succession.predecessor(self._succession)) if take_over else None
            inherited = await self._inherit(line, resources) if line else Inheritance()
            ledger = self._settings.ledger
            evidence = LedgerWriter.open(ledger.own(), self._settings.node, self._loaded.custody, ledger.reserve)
            self._evidence = evidence
            if ledger.is_shared():
                self._shipping = Shipping(ledger, self._settings.node)
                self._shipping.begin()
                resources.push_async_callback(asyncio.to_thread, self._shipping.close)
            resources.callback(evidence.close)
            pending = resources.enter_context(Pending.open(ledger.own(), evidence, self._loaded.custody.days))
            board, refresh = _assemble(self._settings, self._loaded, pending)
            await self._serve(board, evidence, refresh, inherited, line)

    def _connect(self) -> AbstractAsyncContextManager[AriConnection]:
        ari = self._settings.ari
        return connect(ari.url, ari.user, self._password, ari.transport)

    async def _serve(
        self,
        board: Switchboard,
        evidence: LedgerWriter,
        refresh: Callable[[], None],
        inherited: Inheritance,
        line: succession.Line | None,
    ) -> None:
        ready = [inherited.ari] if inherited.ari else []
        application = Application(board)
        agi = AgiApplication(board, application)
        application.carry(inherited.sounding)
        service = Service(application, lambda: nullcontext(ready.pop()) if ready else self._connect(), refresh)
        door = FastAgiServer(agi.answer, Limits(drain_s=AGI_DRAIN_S))
        self._watch_signals()
        successor: asyncio.Future[succession.Line] = asyncio.get_running_loop().create_future()
        over, told = asyncio.Event(), asyncio.create_task(self._stop.wait())
        with ExitStack() as bound:
            listener = inherited.listener or bound.enter_context(bound_to(self._settings.agi.address()))

            async def hand_over(to: succession.Line) -> None:
                if await self._hand_over(to, listener, application, service):
                    successor.set_result(to)
                    await asyncio.Event().wait()  # the line is needed to the end

            serving = asyncio.create_task(service.run(over))
            keeping = self._keep(evidence, application)
            attending = asyncio.create_task(self._manager.attend(lambda: self._status(application)))
            try:
                async with succession.offered(self._succession, hand_over):
                    async with door.listening(listener):
                        await self._announce(line)
                        awaited: set[asyncio.Future[Any]] = {serving, told, successor}
                        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                        if not successor.done():
                            self._manager.tell("STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000")
                            board.retiring = True
                            over.set()
                            await asyncio.gather(serving, agi.drained(BEYOND_THE_SOUND_S))
                    if successor.done():
                        await self._let_go(successor.result(), application, evidence)
            finally:
                for task in (serving, attending, *keeping, told):
                    task.cancel()
                await asyncio.wait({serving, attending, *keeping, told})

    def _keep(self, evidence: LedgerWriter, application: Application) -> list[asyncio.Task[None]]:
        """What is done with the ledger beside the calls."""
        ledger, custody = self._settings.ledger, self._loaded.custody
        hook_log = HookLog(self._settings.sounds.directory)
        cosigning = Cosigning(evidence, custody, ledger.witnesses, ledger.witness_every.total_seconds())
        tasks = [
            asyncio.create_task(cosigning.run(), name="asking witnesses"),
            asyncio.create_task(forget_in_time(custody.days, evidence, ledger.retention), name="forgetting numbers"),
            asyncio.create_task(
                record_requests(ledger.own(), evidence, Rules.of(ledger)),
                name="recording what commands do",
            ),
            asyncio.create_task(
                enter_for_ever(hook_log, ledger.own(), evidence, lambda: application.informed),
                name="entering what Asterisk did alone",
            ),
        ]
        for task in tasks:
            task.add_done_callback(_tell_failure)
        return tasks

    def _watch_signals(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            if self._stop.is_set() and task:
                task.cancel()
            self._stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        if self._manager.address:
            loop.add_signal_handler(signal.SIGHUP, self._start_next)

    def _status(self, application: Application) -> str:
        if self._handing_over:
            return "handing over to the next instance"
        if self._stop.is_set():
            return "stopping: the last sounds are being played"
        reached = "ARI is connected" if application.connected else "Asterisk's ARI cannot be reached"
        registry = self._loaded.source.current
        known = f"registry version {registry.version}, {registry.trust}" if registry else "no registry"
        room = self._evidence.words if self._evidence else ""
        more = "".join(
            f"; {words}" for words in (room, str(self._shipping.standing) if self._shipping else "") if words
        )
        return f"serving: {reached}, AGI at {self._settings.agi.listen}, {known}{more}"

    async def _announce(self, line: succession.Line | None) -> None:
        # Asterisk may be started later; then there is nobody who could ask, and nothing to wait for.
        self._manager.tell(*([f"MAINPID={os.getpid()}"] if line else []), "READY=1")
        if line:
            await line.say(serving=True)
            log.info("took over from the instance before")

    # -- from the instance before ---------------------------------------------------------------------------------

    async def _inherit(self, line: succession.Line, resources: AsyncExitStack) -> Inheritance:
        """Have the instance that runs let go of everything, but for the moment between the two nothing is lost."""
        await line.say(**{"take-over": succession.VERSION, "manager": self._manager.address})
        answer, descriptors = await line.take()
        if "agi" not in answer:
            raise UsageError(f"the instance that runs does not hand over: {answer.get('refused', 'it has gone')}")
        inherited = Inheritance()
        listener = Listener(fileno=descriptors[0])
        if answer["agi"] == self._settings.agi.listen:
            inherited.listener = listener
        else:
            listener.close()
        try:
            inherited.ari = await resources.enter_async_context(self._connect())
        except AriError as error:
            log.warning("%s; taking over without", error)
        await line.say(ready=True)
        while (words := await line.hear()) and "over" not in words:
            inherited.sounding.append(words["sounding"])
        return inherited

    # -- to the next one ------------------------------------------------------------------------------------------

    def _start_next(self) -> None:
        """What a reload means: the program as it is installed now takes over, with the settings as they are now."""
        if self._next and self._next.poll() is None:
            return
        command = [*(word for word in sys.argv if word != "--take-over"), "--take-over"]
        environment = {name: value for name, value in os.environ.items() if name != "WATCHDOG_PID"}
        log.info("starting the next instance")
        try:
            self._next = subprocess.Popen(command, env=environment)  # noqa: S603 — as we were started
        except OSError as error:
            log.error("the next instance cannot be started: %s: %s", command[0], error.strerror)

    async def _hand_over(
        self, line: succession.Line, listener: Listener, application: Application, service: Service
    ) -> bool:
        """As far as it can still go wrong at the other end, when this one serves on; whether it did not."""
        question = await line.hear()
        refusal = None
        if question.get("take-over") != succession.VERSION:
            refusal = "it is of another version; stop it, and start this one"
        elif question.get("manager") != self._manager.address:
            refusal = "systemd runs it; use `systemctl reload idtone`"
        elif self._stop.is_set():
            refusal = "it is about to stop; try again"
        if refusal:
            await line.say(refused=refusal)
            return False
        self._handing_over = True
        application.let_go(True)
        try:
            line.hand(listener.fileno(), agi=self._settings.agi.listen)
            listener.handed_on = bool((await line.hear()).get("ready"))
        finally:
            if not listener.handed_on:
                log.error("the next instance ended before it was ready; this one goes on")
                self._handing_over = False
                application.let_go(False)
                service.connect_again()
        return listener.handed_on

    async def _let_go(self, line: succession.Line, application: Application, evidence: LedgerWriter) -> None:
        await application.settled()
        await asyncio.to_thread(evidence.close)
        for sounding in application.carried():
            await line.say(sounding=sounding)
        await line.say(over=True)
        if not (await line.hear()).get("serving"):
            raise UsageError("the next instance took over and did not begin to serve; its log says why")
        log.info("the next instance has taken over")
