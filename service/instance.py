"""An instance of the service, which can take over from the previous instance and hand over to the next."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from idtone.agi.application import AgiApplication
from idtone.agi.server import FastAgiServer, Limits, Listener, bound_to
from idtone.ari_app.application import AriApplication
from idtone.ari_app.connection import AriConnection, connect
from idtone.ari_app.runner import ApplicationRunner, remedy
from idtone.call_control.call_control import CallControl
from idtone.call_control.fallback_keeper import FallbackKeeper
from idtone.call_control.journal_intake import JournalIntake
from idtone.call_control.journal_reader import JournalReader
from idtone.call_control.restored_calls import RestoredCalls, restored_calls
from idtone.core.daemon_thread import in_daemon
from idtone.core.decision import time_by
from idtone.core.errors import AriError, AriRefused, DocumentError, LedgerError, UsageError
from idtone.core.log_output import in_words, unexpected
from idtone.core.settings.settings import Interface, Settings
from idtone.core.translation import Message
from idtone.ledger.disclosure.record_act import record_queued_acts
from idtone.ledger.keys.timestamp_store import Stamps
from idtone.ledger.replication.replicator import Replicator
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import BUSY_TIMEOUT_S, path_of
from idtone.ledger.witness.cosigning import Cosigning
from idtone.ledger.witness.timestamping import Timestamping
from idtone.ledger.writing.clock_status import record_clock
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.pending_decisions import PendingDecisions
from idtone.ledger.writing.retention import forget_in_time

from . import hand_over, status_feed, used_fleet_settings
from .assembly import Loaded, assemble, journal_of, lines_refresher
from .brake_keeper import BrakeKeeper, ReleasingEvidence
from .call_counts import CallCounts
from .instance_parts import InstanceParts
from .ledger_disk_space import LedgerDiskSpace
from .loaded_hook_check import LoadedHookCheck
from .node_state import NodeStateReport
from .other_nodes import OtherNodes
from .reload_result import FAILED, HANDED_OVER, write_reload_result
from .source_watch import SourceWatch
from .suspension_keeper import SuspensionKeeper
from .systemd import ServiceManager

if TYPE_CHECKING:  # imports prometheus-client and an HTTP server, which only metrics need
    from .metrics_listener import MetricsListener

log = logging.getLogger(__name__)

RETENTION: Final = "idtone.retention"
"""Entry point group for erasing expired data. Its packages are not needed for calls."""

AGI_DRAIN_S: Final = 1.0


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log a background task's failure. Nothing else would reveal it, because calls continue."""
    error = None if task.cancelled() else task.exception()
    if error:
        log.error(
            "%s has failed and stops until the next start: %s",
            task.get_name(),
            in_words(error),
            exc_info=unexpected(error),
        )


@dataclass
class HandedOver:
    """Sockets and connections that an instance takes over from the previous instance."""

    listener: Listener | None = None
    ari: AriConnection | None = None


class Instance:
    """A run of `idtone serve`, from its start or take-over to its end or hand-over."""

    def __init__(self, settings: Settings, password: str, loaded: Loaded) -> None:
        self._settings = settings
        self._password = password
        self._refused = False
        """True if Asterisk rejected the password at the last attempt."""
        self._loaded = loaded
        self._manager = ServiceManager.of(os.environ)
        self._socket = hand_over.socket_path(path_of(settings.ledger.own_url()))
        self._stop = asyncio.Event()
        self._next: subprocess.Popen[bytes] | None = None
        self._handing_over = False
        self._evidence: LedgerWriter | None = None
        self._replicator: Replicator | None = None
        self._metrics: MetricsListener | None = None
        self._hand_overs = 0
        """Number of hand-overs since the service was started."""

    @property
    def unwritten(self) -> bool:
        """True if some evidence could not be written."""
        return self._evidence is not None and self._evidence.unwritten is not None

    async def run(self, take_over: bool) -> None:
        """Run until a stop signal arrives or the next instance has taken over. A second signal cancels the run."""
        async with AsyncExitStack() as resources:
            peer = resources.enter_context(hand_over.running_instance(self._socket)) if take_over else None
            restored = self._restore_calls() if peer else None
            handed_over = await self._take_over(peer, resources) if peer else HandedOver()
            ledger = self._settings.ledger
            evidence = LedgerWriter.open(ledger.own_url(), self._settings.node, self._loaded.key_ring, ledger.reserve)
            self._evidence = evidence
            if ledger.is_shared():
                self._replicator = Replicator(ledger, self._settings.node)
                self._replicator.begin()
                resources.push_async_callback(asyncio.to_thread, self._replicator.close)
            resources.callback(evidence.close)
            pending = resources.enter_context(
                PendingDecisions.open(ledger.own_url(), evidence, self._loaded.key_ring.days)
            )
            # Briefer than a command's: a request of a call that is older than the service waits for this reader.
            reader = resources.enter_context(
                LedgerReader.open(ledger.own_url(), self._loaded.key_ring.days, BUSY_TIMEOUT_S)
            )
            counts = CallCounts(pending)
            restored = RestoredCalls.of(reader, restored)
            counts.restore(restored.read.records.values())
            calls, fallback, refresh = assemble(self._settings, self._loaded, counts, reader, restored)
            journal = self._journal(calls, reader, evidence)
            resources.callback(journal.close)
            parts = self.parts(calls, counts, fallback, journal, evidence, handed_over.ari)
            await self._serve(parts, refresh, handed_over.listener, peer)

    def _restore_calls(self) -> RestoredCalls | None:
        """Read the calls in progress while the previous instance is still serving.

        Returns None if the ledger cannot be read yet, for example because it must be upgraded first.
        """
        try:
            with LedgerReader.open(self._settings.ledger.own_url(), self._loaded.key_ring.days) as reader:
                return RestoredCalls.of(reader)
        except LedgerError as error:
            log.debug("the calls in progress are read after the hand-over: %s", error)
            return None

    def _journal(self, calls: CallControl, ledger: LedgerReader, evidence: LedgerWriter) -> JournalReader:
        folder = journal_of(self._settings)
        entry = JournalIntake(calls, ledger.times, folder.keep_refused, partial(restored_calls, ledger))
        return JournalReader(folder, entry.enter, lambda: evidence.unwritten is None, entry.set_gap_s)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[AriConnection]:
        """Connect to Asterisk.

        If Asterisk rejected the password before, rereads the password file.
        """
        ari = self._settings.ari
        if self._refused:
            with suppress(DocumentError):  # the previous password may be right again
                self._password = await asyncio.to_thread(ari.secret)
        try:
            async with connect(ari.url, ari.user, self._password, ari.transport) as connection:
                self._refused = False
                yield connection
        except AriRefused as error:
            self._refused = error.status == HTTPStatus.UNAUTHORIZED
            raise

    def parts(
        self,
        calls: CallControl,
        counts: CallCounts,
        fallback: FallbackKeeper,
        journal: JournalReader,
        evidence: LedgerWriter,
        ari: AriConnection | None,
    ) -> InstanceParts:
        """Create all parts of this instance without starting them. `ari` is the first connection to Asterisk."""
        settings, source, key_ring = self._settings, self._loaded.source, self._loaded.key_ring
        ledger = settings.ledger
        ready = [ari] if ari else []
        application = AriApplication(calls, journal.read_all)
        runner = ApplicationRunner(application, lambda: nullcontext(ready.pop()) if ready else self._connect())
        keeper = BrakeKeeper(settings, calls.braking.brake, self._report_soon) if calls.braking else None
        suspensions = SuspensionKeeper(
            settings,
            self._loaded.stops,
            lambda: source.current,
            fallback,
            application.end_all_suspended,
            calls.suspended.ended_by_own,
            evidence,
            self._report_soon,
        )
        every_s = ledger.witness_every.total_seconds()
        timestamping = Timestamping(evidence, key_ring, ledger.timestamp, Stamps(ledger.stamps()))
        return InstanceParts(
            settings=settings,
            calls=calls,
            counts=counts,
            fallback=fallback,
            source=source,
            lines=self._loaded.lines,
            application=application,
            runner=runner,
            hook=LoadedHookCheck(self._loaded.hook),
            keeper=keeper,
            suspensions=suspensions,
            journal=journal,
            evidence=evidence,
            room=LedgerDiskSpace(ledger.own_url()),
            cosigning=Cosigning(evidence, key_ring, ledger.witnesses, every_s),
            timestamping=timestamping.after_witnesses(ledger.witnesses),
            replicator=self._replicator,
            others=OtherNodes(settings, [suspensions.read_reports, *([keeper.read_reports] if keeper else [])]),
            hand_overs=lambda: self._hand_overs,
        )

    async def _serve(
        self, parts: InstanceParts, refresh: Callable[[], None], listener: Listener | None, peer: hand_over.Peer | None
    ) -> None:
        self._watch_signals()
        successor: asyncio.Future[hand_over.Peer] = asyncio.get_running_loop().create_future()
        over, stopped = asyncio.Event(), asyncio.create_task(self._stop.wait())
        calls = parts.calls
        with ExitStack() as bound:
            listener = listener or self._listener(bound)

            async def hand_over_to(to: hand_over.Peer) -> None:
                if await self._hand_over(to, listener, parts):
                    successor.set_result(to)
                    await asyncio.Event().wait()  # keep the connection open until this instance ends

            serving = asyncio.create_task(parts.runner.run(over))
            watching = self._watch_sources(refresh, calls)
            background = self._start_background(parts)
            logging_calls = asyncio.create_task(calls.call_log.run())
            reporting = asyncio.create_task(self._manager.report(lambda: self._status(parts)))
            if self._replicator:
                self._replicator.report(NodeStateReport(parts, lambda: not self._stop.is_set()))
            self._begin_metrics(parts, bound)
            try:
                async with hand_over.offer_hand_over(self._socket, hand_over_to), status_feed.serve_feed(parts):
                    async with self._answering(calls, listener):
                        await self._announce(peer)
                        awaited: set[asyncio.Future[Any]] = {serving, *watching, stopped, successor}
                        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                        for each in watching:
                            if each.done():
                                each.result()  # it ends only by a fault in this program
                        if not successor.done():
                            self._manager.notify("STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000")
                            calls.retiring = True
                            over.set()
                            await serving
                    if successor.done():
                        await self._release(successor.result(), parts, background)
                    elif parts.keeper:
                        await asyncio.to_thread(parts.keeper.write)
            finally:
                ours = {serving, *watching, logging_calls, reporting, *background, stopped}
                for task in ours:
                    task.cancel()
                await asyncio.wait(ours)
                calls.call_log.write()

    def _watch_sources(self, refresh: Callable[[], None], calls: CallControl) -> list[asyncio.Task[None]]:
        """Watch the registry, the lines and the sounds in separate tasks.

        A suspension therefore never waits for a hanging database.
        """
        watches = [SourceWatch(lambda: self._refresh(refresh), "the registry", "registry.source")]
        if lines := self._loaded.lines:
            watches.append(SourceWatch(lines_refresher(lines, self._settings), "the table of lines", "lines.source"))
        if calls.files:
            watches.append(SourceWatch(calls.files.look, "the sounds", "sounds.directory"))
        return [asyncio.create_task(watch.run()) for watch in watches]

    def _refresh(self, refresh: Callable[[], None]) -> None:
        """Apply a changed registry and inform the other nodes. Blocks, and raises whatever `refresh` raises."""
        before = self._loaded.source.current
        try:
            refresh()
        finally:
            if self._replicator and self._loaded.source.current is not before:
                self._replicator.report_soon()

    def _listener(self, bound: ExitStack) -> Listener | None:
        if self._settings.interface is not Interface.AGI:
            return None
        return bound.enter_context(bound_to(self._settings.agi.address()))

    def _answering(self, calls: CallControl, listener: Listener | None) -> AbstractAsyncContextManager[Any]:
        if listener is None:
            return nullcontext()
        answer = AgiApplication(calls, self._settings.agi_secret()).answer
        return FastAgiServer(answer, Limits(drain_s=AGI_DRAIN_S)).listening(listener)

    def _begin_metrics(self, parts: InstanceParts, bound: ExitStack) -> None:
        address = self._settings.metrics.address()
        if address is None:
            return
        from .metrics_listener import MetricsListener

        self._metrics = MetricsListener(address, parts)
        self._metrics.begin()
        bound.callback(self._metrics.close)

    async def _confirm_suspensions(self, parts: InstanceParts) -> None:
        if self._settings.association.desk is None:
            return
        from .suspension_confirmations import SuspensionConfirmations  # imports an HTTP client

        await SuspensionConfirmations(
            self._settings,
            lambda: parts.source.current,
            parts.application.end_all_suspended,
            parts.calls.suspended.ended,
            own=lambda: parts.suspensions.known,
        ).run()

    def _forgetting_forms(self, evidence: LedgerWriter) -> Iterator[Coroutine[Any, Any, None]]:
        """Tasks that erase expired customer forms.

        If the operator has no forms at startup, imports nothing for them.
        """
        if self._settings.customers.directory.is_dir():
            for room in entry_points(group=RETENTION):
                try:
                    yield room.load()(self._settings, evidence)
                except Exception:  # it may be of another package
                    log.exception("%s of %s cannot be loaded; calls go on without it", room.value, room.group)

    def _start_background(self, parts: InstanceParts) -> list[asyncio.Task[None]]:
        ledger, key_ring, evidence = self._settings.ledger, self._loaded.key_ring, parts.evidence
        brake = parts.calls.braking.brake if parts.calls.braking else None
        obeying = ReleasingEvidence(evidence, brake, asyncio.get_running_loop())
        acts = record_queued_acts(ledger.own_url(), obeying, self._loaded.disclosure_rules, key_ring)
        work = [
            ("reading the journal", parts.journal.follow()),
            ("asking witnesses", parts.cosigning.run()),
            ("asking the time-stamping authority", parts.timestamping.run()),
            ("confirming suspensions", self._confirm_suspensions(parts)),
            ("asking which hook is loaded", parts.hook.watch(parts.runner)),
            ("recording what is known of the clock", record_clock(evidence)),
            ("forgetting numbers", forget_in_time(key_ring.days, evidence, ledger.retention)),
            *(("forgetting customers' forms", each) for each in self._forgetting_forms(evidence)),
            ("recording what commands do", acts),
            *([("keeping the brake's state", parts.keeper.run())] if parts.keeper else []),
            ("putting this node's own suspensions to use", parts.suspensions.run()),
            ("reading what the other nodes say", parts.others.run()),
        ]
        tasks = [asyncio.create_task(each, name=name) for name, each in work]
        for task in tasks:
            task.add_done_callback(_log_failure)
        return tasks

    def _report_soon(self) -> None:
        if self._replicator:
            self._replicator.report_soon()

    def _watch_signals(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            if self._stop.is_set() and task:
                task.cancel()
            self._stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        reload = self._start_next if self._manager.address else self._log_how_to_reload
        loop.add_signal_handler(signal.SIGHUP, reload)

    def _status(self, parts: InstanceParts) -> str:
        """Status line for systemd, in English like the surrounding log."""
        if self._handing_over:
            return "handing over to the next instance"
        if self._stop.is_set():
            return "stopping"
        reached = "ARI is connected" if parts.application.connected else "Asterisk's ARI cannot be reached"
        registry = parts.source.current
        known = f"registry version {registry.version}, {registry.trust}" if registry else "no registry"
        if registry and registry.expires <= time_by(registry, datetime.now(UTC)):
            known += f", EXPIRED {registry.expires.isoformat()}"
        replica = str(self._replicator.status) if self._replicator else ""
        more = "".join(f"; {words}" for words in (parts.fallback.trouble, parts.evidence.words, replica) if words)
        agi = f", AGI at {self._settings.agi.listen}" if self._settings.interface is Interface.AGI else ""
        return f"serving: {reached}{agi}, {known}, {len(parts.calls)} calls in progress{more}"

    async def _announce(self, peer: hand_over.Peer | None) -> None:
        # Without waiting for Asterisk: if it starts later, there are no requests until then.
        self._manager.notify(*([f"MAINPID={os.getpid()}"] if peer else []), "READY=1")
        if peer:
            await peer.send(serving=True)
            log.info("took over from the previous instance")
        in_daemon(lambda: used_fleet_settings.record(self._settings), "recording which settings are used")

    # -- from the previous instance -------------------------------------------------------------------------------

    async def _take_over(self, peer: hand_over.Peer, resources: AsyncExitStack) -> HandedOver:
        """Ask the running instance to hand over and wait until it has closed the journal and the ledger."""
        await peer.send(**{"take-over": hand_over.VERSION, "manager": self._manager.address})
        answer, descriptors = await peer.next_message_with_descriptors()
        if "agi" not in answer:
            raise UsageError(
                "the running instance does not hand over: {reason}",
                reason=answer.get("refused", Message("it has ended")),
            )
        handed_over = HandedOver()
        for listener in (Listener(fileno=descriptor) for descriptor in descriptors):
            if self._settings.interface is Interface.AGI and answer["agi"] == self._settings.agi.listen:
                handed_over.listener = listener
            else:
                listener.close()
        try:
            handed_over.ari = await resources.enter_async_context(self._connect())
        except AriRefused as error:
            raise UsageError(
                "{error}; {remedy}. The running instance continues", error=error, remedy=remedy(error)
            ) from error
        except AriError as error:
            log.warning("%s; taking over without a connection to Asterisk", error)
        await peer.send(ready=True)
        self._hand_overs = 1 + (await peer.next_message()).get("hand-overs", 0)
        return handed_over

    # -- to the next instance -------------------------------------------------------------------------------------

    def _start_next(self) -> None:
        """Start the next instance for a reload, with the installed program and the current settings.

        The next instance takes over from this one.
        """
        if self._next and self._next.poll() is None:
            return
        command = [*(word for word in sys.argv if word != "--take-over"), "--take-over"]
        environment = {name: value for name, value in os.environ.items() if name != "WATCHDOG_PID"}
        log.info("starting the next instance")
        try:
            self._next = subprocess.Popen(command, env=environment)  # noqa: S603 — our own command line
        except OSError as error:
            log.error("the next instance cannot be started: %s: %s", command[0], error.strerror)
            write_reload_result(FAILED, os.environ)
            return
        ended, loop = in_daemon(self._next.wait, "waiting for the next instance"), asyncio.get_running_loop()
        ended.add_done_callback(lambda _: loop.call_soon_threadsafe(self._log_reload_failed))

    def _log_reload_failed(self) -> None:
        """Log that a reload failed because the next instance ended without taking over."""
        assert self._next
        log.error(
            "the reload has FAILED: the next instance ended with status %s, for the reason above. This instance "
            "continues with its old settings; `idtone serve --check` shows what is wrong with the new ones",
            self._next.returncode,
        )
        write_reload_result(FAILED, os.environ)

    def _log_how_to_reload(self) -> None:
        log.warning(
            "SIGHUP reloads only under systemd; start the next instance with `idtone serve --take-over` instead"
        )

    async def _hand_over(self, peer: hand_over.Peer, listener: Listener | None, parts: InstanceParts) -> bool:
        """Hand over to the next instance. Returns True when that instance is ready.

        On failure, returns False, and this instance continues to serve.
        """
        request = await peer.next_message()
        refusal = None
        if request.get("take-over") != hand_over.VERSION:
            refusal = "it is of another version; stop it, and start this one"
        elif request.get("manager") != self._manager.address:
            refusal = "systemd runs it; use `systemctl reload idtone`"
        elif self._stop.is_set():
            refusal = "it is about to stop; try again"
        if refusal:
            await peer.send(refused=refusal)
            return False
        self._handing_over = True
        parts.application.allow_takeover(True)
        ready = False
        try:
            peer.send_with_descriptors([listener.fileno()] if listener else [], agi=self._settings.agi.listen)
            ready = bool((await peer.next_message()).get("ready"))
        finally:
            if listener:
                listener.handed_over = ready
            if not ready:
                log.error("the next instance ended before it was ready; this one continues")
                self._handing_over = False
                parts.application.allow_takeover(False)
                parts.runner.connect_again()
        return ready

    async def _release(
        self, peer: hand_over.Peer, parts: InstanceParts, background: Sequence[asyncio.Task[None]]
    ) -> None:
        if self._replicator:  # the next instance reports from now on
            self._replicator.report(None)
        await parts.application.wait_for_requests()
        for task in background:  # the next instance reads the journal from now on
            task.cancel()
        await asyncio.wait(background)
        if parts.keeper:
            await asyncio.to_thread(parts.keeper.write)
        await asyncio.to_thread(parts.evidence.close)
        if self._metrics:  # the next instance listens at the same address
            await asyncio.to_thread(self._metrics.close)
        await peer.send(**{"over": True, "hand-overs": self._hand_overs})
        if not (await peer.next_message()).get("serving"):
            raise UsageError("the next instance took over but does not serve; its log says why")
        log.info("the next instance has taken over")
        write_reload_result(HANDED_OVER, os.environ)
