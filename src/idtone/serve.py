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
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import phonenumbers.data.region_JP  # noqa: F401 — else the first call waits for it
import typer

from . import succession
from .agi.application import AgiApplication
from .agi.server import FastAgiServer, Limits, Listener, bound_to
from .ari_app.application import Application
from .ari_app.connection import AriConnection, connect
from .ari_app.service import Service, remedy
from .call_control.call_control import CallControl
from .call_control.evidence import Evidence
from .call_control.fallback import Fallback, remembered
from .call_control.journal import JournalFolder, JournalReader
from .call_control.journal_entry import JournalEntry
from .call_control.playable_sounds import PlayableSounds
from .console import ConfigOption
from .daemons import in_daemon
from .decision import time_by
from .errors import AriError, AriRefused, IdtoneError, TrustError, UsageError
from .ledger.disclosure.disclosure_request import DisclosureRules
from .ledger.disclosure.record_act import record_acts
from .ledger.evidence import steps
from .ledger.keys.key_ring import KeyRing
from .ledger.replication.replicator import Replicator
from .ledger.store.ledger_reader import LedgerReader
from .ledger.store.sqlite import path_of
from .ledger.witness.cosigning import Cosigning
from .ledger.writing.ledger_writer import LedgerWriter
from .ledger.writing.pending import Pending
from .ledger.writing.retention import forget_in_time
from .registry.expiry import Expiry
from .registry.source import FileSource, SignedSource, Source, load_registry
from .settings import CallerHears, Door, RegistrySettings, Settings, SuspendedCalls, load_settings
from .systemd import ServiceManager
from .tones.library import load_library
from .tones.making.sounds import Sound, ensure_sounds
from .tones.profile import Profile

log = logging.getLogger(__name__)

REGISTRY_WITHIN_S: Final = 30.0
"""How long a start waits for the registry's source."""
AGI_DRAIN_S: Final = 1.0
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
            _check(settings)
    except IdtoneError as error:
        print(f"idtone: {error}", file=sys.stderr)
        raise typer.Exit(UNUSABLE_SETTINGS) from None
    if check:
        print("the settings can be used")
        return
    logging.basicConfig(level=settings.log.level.upper(), format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.getLogger("tuf").setLevel(logging.WARNING)  # it tells of each key that has not signed where enough have
    faulthandler.enable()  # tells where the loop stood still when a watchdog ends us
    instance = Instance(settings, password, _load(settings))
    loop_first()
    try:
        asyncio.run(instance.live(take_over))
    except asyncio.CancelledError:
        log.warning("told to stop again: requests on their way are not waited for")
        raise typer.Exit(1) from None
    if instance.unwritten:
        raise typer.Exit(1)  # the ledger has told


def _check(settings: Settings) -> None:
    """Read what the settings name, and change nothing. Raises IdtoneError."""
    load_library(settings.sounds.profiles).for_calls()
    settings.agi_secret()
    root = settings.registry.root()
    if root is None:
        load_registry(settings.registry.file())
    else:
        from .registry.trust.client import trusted_root  # as below

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


@dataclass(frozen=True)
class Loaded:
    """What an instance has before it begins."""

    profiles: tuple[Profile, ...]
    sounds: dict[str, Sound]
    key_ring: KeyRing
    source: Source


def _load(settings: Settings) -> Loaded:
    profiles = load_library(settings.sounds.profiles).for_calls()
    sounds = ensure_sounds(settings.sounds.directory, profiles)
    for sound in sounds.values():
        for file in sound.files:
            if file.written:
                log.info("made %s", file.path)
    source = source_of(settings.registry)
    _take_up(source)
    journal_of(settings).make()
    return Loaded(profiles, sounds, KeyRing.of(settings.ledger, settings.node), source)


def _take_up(source: Source) -> None:
    """The first look at the registry. Without it calls are announced by the notice, which is better than no service."""
    looking = in_daemon(source.refresh, "the first look at the registry")
    try:
        looking.result(REGISTRY_WITHIN_S)
    except TimeoutError:
        log.error(
            "the registry's source has not answered within %g s; the service starts without it, and takes it up when "
            "it answers: check registry.source and what it lies on", REGISTRY_WITHIN_S,
        )  # fmt: skip


def journal_of(settings: Settings) -> JournalFolder:
    return JournalFolder(settings.journal_directory(), settings.sounds.directory)


def source_of(registry: RegistrySettings) -> Source:
    root = registry.root()
    if root is None:
        log.warning("the registry is unsigned: whoever can write %s is believed", registry.source)
        return FileSource(registry.file())
    from .registry.trust.client import Repository  # with TUF, which an unsigned registry does not need

    return SignedSource(Repository(root, registry.source, registry.cache), registry.poll.total_seconds())


def _assemble(
    settings: Settings, loaded: Loaded, evidence: Evidence, ledger: LedgerReader
) -> tuple[CallControl, Fallback, Callable[[], None]]:
    """Call control, what Asterisk knows while we are down, and what takes up a changed registry."""
    source, policy = loaded.source, settings.policy.policy()
    playable = PlayableSounds(loaded.sounds, loaded.profiles, lambda: source.current)
    answer_first = settings.policy.caller_hears is CallerHears.ANSWERED
    fallback = Fallback(settings.sounds.directory, policy, settings.policy.service_away, answer_first)
    calls = CallControl(
        registry=lambda: source.current,
        policy=policy,
        sounds=playable,
        made=loaded.sounds,
        evidence=evidence,
        caller_hears=settings.policy.caller_hears,
        hang_up_suspended=settings.policy.suspended_calls is SuspendedCalls.HANG_UP,
        remembered={} if source.current else remembered(settings.sounds.directory),
        recorded=ledger.knows,
    )
    now = datetime.now(UTC)
    calls.recall(ledger.open_calls(now))
    for call_id in ledger.lost_calls(now):
        calls.record(steps.interrupted(call_id, now))

    expiry = Expiry(policy.registry_stale)

    def review() -> None:
        playable.review()
        expiry.review(source.current, time_by(source.current, datetime.now(UTC)))
        fallback.keep(source.current)

    def refresh() -> None:
        source.refresh()
        review()

    review()
    return calls, fallback, refresh


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
        self._calls: CallControl | None = None
        self._fallback: Fallback | None = None
        self._replicator: Replicator | None = None

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
            evidence = LedgerWriter.open(ledger.own(), self._settings.node, self._loaded.key_ring, ledger.reserve)
            self._evidence = evidence
            if ledger.is_shared():
                self._replicator = Replicator(ledger, self._settings.node)
                self._replicator.begin()
                resources.push_async_callback(asyncio.to_thread, self._replicator.close)
            resources.callback(evidence.close)
            pending = resources.enter_context(Pending.open(ledger.own(), evidence, self._loaded.key_ring.days))
            reader = resources.enter_context(LedgerReader.open(ledger.own(), self._loaded.key_ring.days))
            calls, self._fallback, refresh = _assemble(self._settings, self._loaded, pending, reader)
            self._calls = calls
            journal = self._journal(calls, reader, evidence)
            resources.callback(journal.close)
            await self._serve(calls, journal, evidence, refresh, inherited, line)

    def _journal(self, calls: CallControl, ledger: LedgerReader, evidence: LedgerWriter) -> JournalReader:
        folder = journal_of(self._settings)
        entry = JournalEntry(calls, ledger.times, folder.refuse)
        return JournalReader(folder, entry.enter, lambda: evidence.unwritten is None, entry.gap_s)

    def _connect(self) -> AbstractAsyncContextManager[AriConnection]:
        ari = self._settings.ari
        return connect(ari.url, ari.user, self._password, ari.transport)

    async def _serve(
        self,
        calls: CallControl,
        journal: JournalReader,
        evidence: LedgerWriter,
        refresh: Callable[[], None],
        inherited: Inheritance,
        line: succession.Line | None,
    ) -> None:
        async def read_journal() -> None:
            journal.look()

        ready = [inherited.ari] if inherited.ari else []
        application = Application(calls, read_journal)
        service = Service(application, lambda: nullcontext(ready.pop()) if ready else self._connect(), refresh)
        self._watch_signals()
        successor: asyncio.Future[succession.Line] = asyncio.get_running_loop().create_future()
        over, told = asyncio.Event(), asyncio.create_task(self._stop.wait())
        with ExitStack() as bound:
            listener = inherited.listener or self._listener(bound)

            async def hand_over(to: succession.Line) -> None:
                if await self._hand_over(to, listener, application, service):
                    successor.set_result(to)
                    await asyncio.Event().wait()  # the line is needed to the end

            serving = asyncio.create_task(service.run(over))
            keeping = self._keep(evidence, journal)
            attending = asyncio.create_task(self._manager.attend(lambda: self._status(application)))
            try:
                async with succession.offered(self._succession, hand_over):
                    async with self._answering(calls, listener):
                        await self._announce(line)
                        awaited: set[asyncio.Future[Any]] = {serving, told, successor}
                        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                        if not successor.done():
                            self._manager.tell("STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000")
                            calls.retiring = True
                            over.set()
                            await serving
                    if successor.done():
                        await self._let_go(successor.result(), application, evidence, keeping)
            finally:
                for task in (serving, attending, *keeping, told):
                    task.cancel()
                await asyncio.wait({serving, attending, *keeping, told})

    def _listener(self, bound: ExitStack) -> Listener | None:
        """Where AGI is answered: nowhere, unless it is the chosen interface."""
        if self._settings.door is not Door.AGI:
            return None
        return bound.enter_context(bound_to(self._settings.agi.address()))

    def _answering(self, calls: CallControl, listener: Listener | None) -> AbstractAsyncContextManager[Any]:
        if listener is None:
            return nullcontext()
        answer = AgiApplication(calls, self._settings.agi_secret()).answer
        return FastAgiServer(answer, Limits(drain_s=AGI_DRAIN_S)).listening(listener)

    def _keep(self, evidence: LedgerWriter, journal: JournalReader) -> list[asyncio.Task[None]]:
        """What is done beside the calls."""
        ledger, key_ring = self._settings.ledger, self._loaded.key_ring
        cosigning = Cosigning(evidence, key_ring, ledger.witnesses, ledger.witness_every.total_seconds())
        tasks = [
            asyncio.create_task(journal.follow(), name="reading the journal"),
            asyncio.create_task(cosigning.run(), name="asking witnesses"),
            asyncio.create_task(forget_in_time(key_ring.days, evidence, ledger.retention), name="forgetting numbers"),
            asyncio.create_task(
                record_acts(ledger.own(), evidence, DisclosureRules.of(ledger)),
                name="recording what commands do",
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
        reload = self._start_next if self._manager.address else self._tell_how_to_reload
        loop.add_signal_handler(signal.SIGHUP, reload)

    def _status(self, application: Application) -> str:
        if self._handing_over:
            return "handing over to the next instance"
        if self._stop.is_set():
            return "stopping"
        reached = "ARI is connected" if application.connected else "Asterisk's ARI cannot be reached"
        registry = self._loaded.source.current
        known = f"registry version {registry.version}, {registry.trust}" if registry else "no registry"
        room = self._evidence.words if self._evidence else ""
        trouble = self._fallback.trouble if self._fallback else ""
        replica = str(self._replicator.status) if self._replicator else ""
        more = "".join(f"; {words}" for words in (trouble, room, replica) if words)
        agi = f", AGI at {self._settings.agi.listen}" if self._settings.door is Door.AGI else ""
        return f"serving: {reached}{agi}, {known}, {len(self._calls or ())} calls in progress{more}"

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
        for listener in (Listener(fileno=descriptor) for descriptor in descriptors):
            if self._settings.door is Door.AGI and answer["agi"] == self._settings.agi.listen:
                inherited.listener = listener
            else:
                listener.close()
        try:
            inherited.ari = await resources.enter_async_context(self._connect())
        except AriRefused as error:
            raise UsageError(f"{error}; {remedy(error)}. The instance that runs goes on") from error
        except AriError as error:
            log.warning("%s; taking over without", error)
        await line.say(ready=True)
        await line.hear()
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
            return
        ended, loop = in_daemon(self._next.wait, "waiting for the next instance"), asyncio.get_running_loop()
        ended.add_done_callback(lambda _: loop.call_soon_threadsafe(self._tell_reload_failed))

    def _tell_reload_failed(self) -> None:
        """The next instance has ended, and this one is still there to see it."""
        assert self._next
        log.error(
            "the reload has FAILED: the next instance ended with status %s, for the reason above; this one goes on "
            "with the settings that it has: `idtone serve --check` says what is wrong with the new ones",
            self._next.returncode,
        )

    def _tell_how_to_reload(self) -> None:
        log.warning("SIGHUP: a reload is systemd's; start the next instance with `idtone serve --take-over` instead")

    async def _hand_over(
        self, line: succession.Line, listener: Listener | None, application: Application, service: Service
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
        ready = False
        try:
            line.hand([listener.fileno()] if listener else [], agi=self._settings.agi.listen)
            ready = bool((await line.hear()).get("ready"))
        finally:
            if listener:
                listener.handed_on = ready
            if not ready:
                log.error("the next instance ended before it was ready; this one goes on")
                self._handing_over = False
                application.let_go(False)
                service.connect_again()
        return ready

    async def _let_go(
        self,
        line: succession.Line,
        application: Application,
        evidence: LedgerWriter,
        keeping: Sequence[asyncio.Task[None]],
    ) -> None:
        await application.settled()
        for task in keeping:  # what the journal says from now on is the next one's to read
            task.cancel()
        await asyncio.wait(keeping)
        await asyncio.to_thread(evidence.close)
        await line.say(over=True)
        if not (await line.hear()).get("serving"):
            raise UsageError("the next instance took over and did not begin to serve; its log says why")
        log.info("the next instance has taken over")
