"""Saves the brake's state across restarts and shares its stops with the other nodes of the fleet.

A thread writes the files (`brake.state_files`), so that no call waits. The stops and releases of this node are part of
its state in PostgreSQL (`node_state`), authenticated with the fleet key. `OtherNodes` reads the stops of the other
nodes.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from idtone.call_control.brake.brake import Brake, LineKinds
from idtone.call_control.brake.limits import SURGE_TIMES, BrakeStep, ShareLimit, ShareLimits
from idtone.call_control.brake.shared_stops import Hold, releases_of_json
from idtone.call_control.brake.state_files import (
    key_of,
    lines_path,
    read_lines,
    read_state,
    state_path,
    write_lines,
    write_state,
)
from idtone.call_control.call_brake import RELEASED
from idtone.core.daemon_thread import in_daemon
from idtone.core.errors import UsageError
from idtone.core.log_output import in_words, unexpected
from idtone.core.misuse_limits import load_limits
from idtone.core.settings.brake import HighestStep
from idtone.core.settings.settings import Settings
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.evidence.steps import Step
from idtone.ledger.replication.node_reports import NodeReport

from .other_nodes import shares_with_nodes

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.25
CALM_EVERY_S: Final = 5.0
WINDOWS_EVERY_S: Final = 10.0
"""How often the windows of marked and slowed subjects are written, in seconds."""
LINES_EVERY_S: Final = 600.0


def brake_of(settings: Settings) -> Brake | None:
    """The brake, with its last saved state; None if it is off. Raises DocumentError or LedgerError."""
    chosen = settings.brake
    if chosen.highest is HighestStep.NOTHING:
        return None
    rules = load_limits(None)
    share_limits = ShareLimits(
        rules.false_alarm,
        ShareLimit(rules.short_calls.usual_share, rules.short_calls.at_least),
        rules.short_calls.shorter_than_s,
        ShareLimit(rules.pings.usual_share, rules.pings.at_least),
        rules.pings.rings_below_s,
    )
    kinds = LineKinds(frozenset(chosen.extensions), frozenset(chosen.call_centres), frozenset(chosen.resellers))
    key = key_of(settings)
    brake = Brake(key, settings.node, kinds, share_limits, BrakeStep[chosen.highest.upper()])
    try:
        kept = read_state(state_path(settings), key)
    except UsageError as error:
        log.error("%s. The brake begins without what it has stopped", error)
        return brake
    brake.restore(kept.holds, kept.released, kept.windows, read_lines(lines_path(settings), key))
    return brake


class BrakeKeeper:
    """Saves and shares the brake's state while the service is running."""

    def __init__(self, settings: Settings, brake: Brake, report_soon: Callable[[], None] = lambda: None) -> None:
        """Set the brake and the function that immediately sends a change to the other nodes."""
        self._settings, self._brake, self._report_soon = settings, brake, report_soon
        self._key = key_of(settings)
        self._written = self._reported = brake.changes
        self._loop: asyncio.AbstractEventLoop | None = None
        self._surges = False

    async def run(self) -> None:
        """Save and share the brake's state until cancelled."""
        self._loop = asyncio.get_running_loop()
        brake, now_s = self._brake, time.monotonic()
        calm_s, windows_s, lines_s = now_s, now_s, now_s
        writing: Future[None] | None = None
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now_s = time.monotonic()
            if now_s >= calm_s + CALM_EVERY_S:
                calm_s = now_s
                brake.lower_steps(_now_s())
                self._tell_surge(brake.is_surge(_now_s()))
            if brake.changes != self._reported:
                self._reported = brake.changes
                self._report_soon()
            is_due = brake.changes != self._written or now_s >= windows_s + WINDOWS_EVERY_S
            if is_due and (writing is None or writing.done()):
                windows_s, lines_too = now_s, now_s >= lines_s + LINES_EVERY_S
                lines_s = now_s if lines_too else lines_s
                writing = in_daemon(partial(self.write, lines_too), "writing the brake's state")

    def _tell_surge(self, surges: bool) -> None:
        if surges == self._surges:
            return
        self._surges = surges
        if surges:
            log.warning(
                "many lines call more than usual at once: the brake allows them %d times as many calls", SURGE_TIMES
            )
        else:
            log.warning("the lines call as usual again: the brake has its ordinary limits")

    def write(self, lines_too: bool = True) -> None:
        """Write the state files. A failure is logged and retried with the next change. Thread-safe."""
        changes = self._brake.changes
        try:
            write_state(state_path(self._settings), self._key, self._brake.state())
            if lines_too:
                write_lines(lines_path(self._settings), self._key, self._brake.lines())
            self._written = changes
        except Exception as error:
            log.error(
                "what the brake has stopped would be lost at a restart: %s",
                in_words(error),
                exc_info=unexpected(error),
            )

    # -- other nodes ----------------------------------------------------------------------------------------------

    def stops_to_share(self) -> dict[str, str] | None:
        """Authenticated stops and releases for the other nodes, or None if this node shares none. Thread-safe."""
        if not shares_with_nodes(self._settings):
            return None
        text = json.dumps(self._brake.stops_to_share())
        return {"told": text, "mac": self._mac(self._settings.node, text)}

    def _mac(self, node: str, text: str) -> str:
        return hmac.new(self._key, f"{node}\0{text}".encode(), hashlib.sha256).hexdigest()

    def read_reports(self, reports: Sequence[NodeReport]) -> None:
        """Apply other nodes' stops and releases. Thread-safe."""
        holds: list[Hold] = []
        released: dict[str, float] = {}
        for report in reports:
            self._read(report.node, report.state, holds, released)
        if self._loop:
            self._loop.call_soon_threadsafe(lambda: self._brake.take_over_stops(holds, released, _now_s()))

    def _read(self, node: str, state: Any, holds: list[Hold], released: dict[str, float]) -> None:
        """Collect one node's stops and releases, if they are authentic."""
        try:
            brake = state["brake"]
            if not brake:
                return
            if not hmac.compare_digest(str(brake["mac"]), self._mac(node, brake["told"])):
                log.debug("node %s tells stops that the fleet's key has not made", node)
                return
            told = json.loads(brake["told"])
            found = list(map(Hold.of_json, told["stops"]))
            for token, at_s in releases_of_json(told["released"]).items():
                released[token] = max(at_s, released.get(token, 0.0))
            holds += found
        except (LookupError, TypeError):
            return  # it does not say: an earlier version, or a node without a brake
        except (ValueError, AttributeError, RecursionError):
            log.debug("node %s tells stops that cannot be read", node)


class ReleasingEvidence:
    """Evidence for operators' acts. An act that releases a subject also takes effect in the brake."""

    def __init__(self, evidence: Evidence, brake: Brake | None, loop: asyncio.AbstractEventLoop) -> None:
        self._evidence, self._brake, self._loop = evidence, brake, loop

    def append(self, step: Step) -> Future[None]:
        if self._brake and step.details.get("act") == RELEASED:
            brake, token = self._brake, str(step.details.get("subject"))
            self._loop.call_soon_threadsafe(lambda: brake.release(token, _now_s()))
        return self._evidence.append(step)

    def hurry(self) -> None:
        self._evidence.hurry()

    @property
    def full(self) -> bool:
        return self._evidence.full


def release_in_file(settings: Settings, token: str) -> None:
    """Release a subject in the state file while no service is running. Raises UsageError or OSError."""
    path, key = state_path(settings), key_of(settings)
    kept = read_state(path, key)
    holds = [hold for hold in kept.holds if hold.token != token]
    since_s = max((hold.since_s for hold in kept.holds if hold.token == token), default=0.0)
    windows = {each: value for each, value in kept.windows.items() if each != token}
    state = {
        "holds": [hold.to_json() for hold in holds],
        "released": {**kept.released, token: max(_now_s(), since_s)},
        "windows": windows,
    }
    write_state(path, key, state)


def _now_s() -> float:
    return datetime.now(UTC).timestamp()
