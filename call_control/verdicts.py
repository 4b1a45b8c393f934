"""Builds verdicts for the hook: how to treat the call, the file for each party, and the chain token."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from idtone import dialplan
from idtone.core.calls import Party
from idtone.core.log_output import call_extra
from idtone.core.settings.policy import CallerHears

from .call import Call
from .call_sounds import CallSounds
from .fleet_chain import FleetChain

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdicts:
    """Builds the hook's verdict for each decided call."""

    sounds: CallSounds
    caller_hears: CallerHears
    fleet: FleetChain | None

    def of(self, call: Call) -> dialplan.Verdict:
        """Verdict for the hook. The notice replaces any sound that must not or cannot be played."""
        files = self.sounds.of_verdict(call)
        verdict = self._with(call, files)
        if len(verdict.extension) > dialplan.EXTENSION_LIMIT:
            log.error(
                "%s: the names of the profiles %s are too long together; the hook plays the notice",
                call.id,
                set(files.values()),
                extra=call_extra(call.id, call.decision.reason),
            )
            verdict = self._with(call, dict.fromkeys(files, self.sounds.notice))
        return self._with_chain(call, verdict)

    def _with(self, call: Call, files: Mapping[str, str]) -> dialplan.Verdict:
        called = self.sounds.made.get(files.get(Party.CALLED, ""))
        return dialplan.Verdict(
            nonce=call.nonce,
            outcome=call.decision.outcome,
            reason=call.decision.reason,
            hangup_cause=call.decision.hangup_cause,
            answer_first=self.caller_hears is CallerHears.ANSWERED,
            files=files,
            packets=dialplan.packets(called.duration_ms) if called else 0,
        )

    def _with_chain(self, call: Call, verdict: dialplan.Verdict) -> dialplan.Verdict:
        """Add the chain token, which tells other nodes and legs that a sound is played."""
        marked = replace(verdict, chain=self.fleet.verdict_text(call)) if self.fleet else verdict
        if len(marked.extension) <= dialplan.EXTENSION_LIMIT:
            return marked
        log.error(
            "%s: the names of the profiles %s leave no room for the chain token; the next node plays a sound too",
            call.id,
            set(verdict.files.values()),
            extra=call_extra(call.id, call.decision.reason),
        )
        return verdict
