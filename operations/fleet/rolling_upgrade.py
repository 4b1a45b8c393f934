"""Upgrades a fleet node by node until the first fault."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from idtone.core.errors import IdtoneError
from idtone.core.translation import Message, joined

from . import kamailio_dispatcher
from .command_runner import CommandResult, CommandRunner
from .inventory import DispatcherEntry, Inventory, NodeEntry, with_prefix
from .upgrade_journal import UpgradeJournal
from .upgrade_rules import (
    HOOK_FILE,
    HOOK_LOADED,
    DoctorFinding,
    NodeStatus,
    StateBefore,
    Step,
    faults_after_upgrade,
    is_handed_over,
    read_findings,
    reasons_not_to_upgrade,
)

COMMAND_S: Final = 60.0
"""Time limit for each command except the installation and the reload, in seconds."""
INSTALL_S: Final = 1800.0
RELOAD_S: Final = 160.0
"""Time limit for the reload, in seconds. It is longer than systemd waits for the next instance (the unit's
`TimeoutStartSec`)."""
LOOK_EVERY_S: Final = 1.0
QUIET_S: Final = 3.0
"""Seconds without a new call after which a node counts as out of the dispatchers."""
HAND_OVER_S: Final = 60.0
CHECK_S: Final = 30.0
"""Seconds after the new instance starts during which its findings may be worse than before."""
_LINES: Final = 10
"""Number of lines shown from the end of a failed command's output."""


class NodeFaultError(IdtoneError):
    """A step of an upgrade failed on a node.

    `output` is the last part of the command's output.
    """

    def __init__(self, problem: str, output: str = "") -> None:
        super().__init__(problem)
        self.output = output


class Progress(Protocol):
    """An interface for showing an upgrade's progress."""

    def begin(self, node: str, step: Step) -> None:
        """Show that a step begins on a node."""

    def waiting(self, words: str) -> None:
        """Show what the upgrade is currently waiting for."""

    def end(self, node: str, step: Step, words: str) -> None:
        """Show that a step is finished, with its result if it has one."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock by which an upgrade waits, replaceable in tests."""

    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class RollingUpgrade:
    """One run of a rolling upgrade.

    `patience_s` is the longest wait until no new calls arrive or, with `until_empty`, until no call is in progress.
    """

    inventory: Inventory
    runner: CommandRunner
    journal: UpgradeJournal
    progress: Progress
    until_empty: bool = False
    patience_s: float = 60.0
    clock: Clock = field(default_factory=Clock)

    def run(self, nodes: Sequence[NodeEntry]) -> None:
        """Upgrade nodes in order, except those that the journal lists as finished.

        Raises NodeFaultError at the first fault.
        """
        for node in nodes:
            if node.node not in self.journal.done:
                _NodeUpgrade(self, node).run()


@dataclass
class _NodeUpgrade:
    """The upgrade of one node."""

    upgrade: RollingUpgrade
    node: NodeEntry
    _step: Step = Step.LOOK
    _pid: int = 0
    """Process id of the instance that ran before the installation."""
    _installed: str = ""

    def run(self) -> None:
        """Upgrade the node.

        If it fails, records the fault in the journal and raises NodeFaultError.
        """
        try:
            before = self.upgrade.journal.before(self.node.node) or self._look()
            self._look_at_dispatchers()
            self._do(Step.DRAIN, self._drain)
            self._do(Step.WAIT, self._wait)
            self._do(Step.INSTALL, self._install)
            self._do(Step.HAND_OVER, self._hand_over)
            self._do(Step.HOOK, self._export_hook)
            self._do(Step.CHECK, lambda: self._check(before))
            self._do(Step.PUT_BACK, self._put_back)
        except NodeFaultError as error:
            self.upgrade.journal.add(self.node.node, self._step, fault=str(error))
            raise

    def _do(self, step: Step, act: Callable[[], str]) -> None:
        self._step = step
        self.upgrade.progress.begin(self.node.node, step)
        words = act()
        more = {"version": self._installed} if step is Step.INSTALL else {}
        self.upgrade.journal.add(self.node.node, step, **more)
        self.upgrade.progress.end(self.node.node, step, words)

    # -- what the node says -----------------------------------------------------------------------------------------

    def _look(self) -> StateBefore:
        self._step = Step.LOOK
        self.upgrade.progress.begin(self.node.node, Step.LOOK)
        status = self._status()
        if problems := list(reasons_not_to_upgrade(status)):
            raise NodeFaultError(joined("; ", problems))
        before = StateBefore.of(status, self._findings())
        self.upgrade.journal.add(self.node.node, Step.LOOK, before=before.as_json())
        self.upgrade.progress.end(self.node.node, Step.LOOK, Message("version {version}", version=before.version))
        return before

    def _status(self) -> NodeStatus:
        ran = self._run((*self.node.idtone, "status", "--json"))
        status = NodeStatus.read(ran.output)
        if status is None:
            raise _failed(Message("idtone status says nothing that can be read"), ran)
        return status

    def _findings(self) -> dict[str, DoctorFinding]:
        ran = self._run((*self.node.idtone, "doctor", "--json"))
        findings = read_findings(ran.output)
        if findings is None:
            raise _failed(Message("idtone doctor says nothing that can be read"), ran)
        return findings

    def _run(self, words: Sequence[str], within_s: float = COMMAND_S) -> CommandResult:
        return self.upgrade.runner.run(self.node.command(words), within_s)

    def _must(self, words: Sequence[str], within_s: float = COMMAND_S) -> CommandResult:
        """Run a command on the node.

        Raises NodeFaultError if it fails.
        """
        ran = self._run(words, within_s)
        if ran.status != 0:
            raise _failed(Message("the command failed: {command}", command=" ".join(words)), ran)
        return ran

    # -- the steps --------------------------------------------------------------------------------------------------

    def _look_at_dispatchers(self) -> None:
        """Check that the node can be taken out, before anything is changed.

        Raises NodeFaultError.
        """
        for dispatcher, address in self._destinations():
            found = self._states(dispatcher)
            if address not in found:
                raise NodeFaultError(
                    Message(
                        "the dispatcher {name} has no destination {address} in set {group}; it has: {others}",
                        name=dispatcher.name,
                        address=address,
                        group=dispatcher.group,
                        others=", ".join(found) or "-",
                    )
                )
            if not kamailio_dispatcher.has_other_active(found, address):
                raise NodeFaultError(
                    Message("no other destination of the dispatcher {name} takes calls", name=dispatcher.name)
                )

    def _drain(self) -> str:
        if not self.upgrade.inventory.dispatchers:
            return Message("there is no dispatcher in the inventory")
        for dispatcher, address in self._destinations():
            self._call(dispatcher, kamailio_dispatcher.take_out_procedure(dispatcher.group, address))
            if not kamailio_dispatcher.is_out(self._states(dispatcher).get(address, "")):
                raise NodeFaultError(Message("the dispatcher {name} has not taken it out", name=dispatcher.name))
        return ""

    def _put_back(self) -> str:
        for dispatcher, address in self._destinations():
            self._call(dispatcher, kamailio_dispatcher.put_back_procedure(dispatcher.group, address))
            if not kamailio_dispatcher.is_in(self._states(dispatcher).get(address, "")):
                raise NodeFaultError(Message("the dispatcher {name} has not put it back", name=dispatcher.name))
        return ""

    def _destinations(self) -> Iterator[tuple[DispatcherEntry, str]]:
        for dispatcher in self.upgrade.inventory.dispatchers:
            assert self.node.address  # the inventory's rules
            yield dispatcher, self.node.address

    def _states(self, dispatcher: DispatcherEntry) -> dict[str, str]:
        ran = self._call(dispatcher, kamailio_dispatcher.LIST)
        return kamailio_dispatcher.destination_flags(ran.output, dispatcher.group)

    def _call(self, dispatcher: DispatcherEntry, procedure: Sequence[str]) -> CommandResult:
        """Call one of a dispatcher's remote procedures.

        kamcmd exits with 0 even if the dispatcher refuses, which only the destinations' states show.
        """
        ran = self.upgrade.runner.run(with_prefix(dispatcher.run, procedure), COMMAND_S)
        if ran.status != 0:
            raise _failed(Message("the dispatcher {name} does not answer", name=dispatcher.name), ran)
        return ran

    def _wait(self) -> str:
        if not self.upgrade.inventory.dispatchers:
            return Message("calls go on: a hand-over loses none")
        clock = self.upgrade.clock
        begun_s = quiet_s = clock.monotonic_s()
        decided = None
        while True:
            status, now_s = self._status(), clock.monotonic_s()
            if (status.pid, status.decided) != decided:
                decided, quiet_s = (status.pid, status.decided), now_s
            is_quiet = self.node.other_calls or now_s - quiet_s >= QUIET_S
            if is_quiet and (not self.upgrade.until_empty or not status.in_progress):
                return Message("{calls} calls in progress", calls=status.in_progress)
            if now_s - begun_s > self.upgrade.patience_s:
                raise NodeFaultError(self._why_waiting(is_quiet, status))
            self.upgrade.progress.waiting(
                Message(
                    "{calls} calls in progress, no new call for {seconds:.0f} s",
                    calls=status.in_progress,
                    seconds=now_s - quiet_s,
                )
            )
            clock.sleep(LOOK_EVERY_S)

    def _why_waiting(self, is_quiet: bool, status: NodeStatus) -> str:
        seconds = self.upgrade.patience_s
        if is_quiet:
            return Message(
                "{calls} calls are in progress after {seconds:.0f} s; wait longer with --patience, or leave --empty "
                "out: a hand-over loses no call",
                calls=status.in_progress,
                seconds=seconds,
            )
        return Message(
            "new calls still come after {seconds:.0f} s; if they come past the dispatchers, write `other_calls: true` "
            "for this node",
            seconds=seconds,
        )

    def _install(self) -> str:
        self._pid = self._status().pid
        self._must(self.node.upgrade, INSTALL_S)
        ran = self._must((*self.node.idtone, "--version"))
        self._installed = ran.output.strip().removeprefix("idtone").strip()
        first = self.upgrade.journal.installed
        if not self._installed or (first and self._installed != first):
            raise NodeFaultError(
                Message(
                    "version {version} is installed, and the nodes before it got {first}",
                    version=self._installed or "?",
                    first=first or "?",
                )
            )
        return Message("version {version}", version=self._installed)

    def _hand_over(self) -> str:
        status = self._status()
        if not is_handed_over(self._pid, status, self._installed):  # otherwise the package has done it
            self._must(self.node.reload, RELOAD_S)
        begun_s = self.upgrade.clock.monotonic_s()
        while not is_handed_over(self._pid, status, self._installed):
            if self.upgrade.clock.monotonic_s() - begun_s > HAND_OVER_S:
                raise NodeFaultError(
                    Message(
                        "version {version} does not serve after {seconds:.0f} s; the log of the service there says why",
                        version=self._installed,
                        seconds=HAND_OVER_S,
                    )
                )
            self.upgrade.clock.sleep(LOOK_EVERY_S)
            status = self._status()
        return Message("{calls} calls in progress", calls=status.in_progress)

    def _export_hook(self) -> str:
        findings = self._findings()
        file, loaded = (findings[each].state if each in findings else "" for each in (HOOK_FILE, HOOK_LOADED))
        if file in ("bad", "warning"):
            self._must((*self.node.idtone, "dialplan", "export", str(self.node.asterisk_etc)))
        elif loaded not in ("bad", "warning"):
            return Message("unchanged")
        self._must((*self.node.asterisk, "-rx", "dialplan reload"))
        return Message("exported") if file in ("bad", "warning") else Message("loaded")

    def _check(self, before: StateBefore) -> str:
        begun_s = self.upgrade.clock.monotonic_s()
        while True:
            problems = list(faults_after_upgrade(before, self._status(), self._findings(), self._installed))
            if not problems:
                return ""
            if self.upgrade.clock.monotonic_s() - begun_s > CHECK_S:
                raise NodeFaultError(joined("; ", problems))
            self.upgrade.progress.waiting(joined("; ", problems))
            self.upgrade.clock.sleep(LOOK_EVERY_S)


def _failed(problem: str, ran: CommandResult) -> NodeFaultError:
    said = (ran.errors.strip() or ran.output.strip()).splitlines()
    return NodeFaultError(problem, "\n".join(said[-_LINES:]))
