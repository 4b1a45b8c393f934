"""A call's sound files: those for its verdict and the evidence that they were played."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from idtone.core.calls import Delivery, Party
from idtone.core.errors import JournalError
from idtone.core.log_output import call_extra
from idtone.dialplan import Played
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step
from idtone.tones.making.sound_files import Sound

from .call import Call
from .journal_lines import Reported, Sounded
from .sound_delivery import KnownBy, PlayedSound, played_sound, reports_confirm
from .sound_files import PlayedFile, SoundFiles

log = logging.getLogger(__name__)

FILE_CHANGED: Final = "a file of the sound was changed, and what was played is not known"


@dataclass(frozen=True)
class CallSounds:
    """Selects the sound files for a call and converts journal lines about sounds into evidence."""

    playable: Mapping[str, Sound]
    """Playable sounds, by profile."""
    made: Mapping[str, Sound]
    """All sounds that were made, by file name."""
    files: SoundFiles | None
    """The sound files; None if only file sizes are checked and the evidence does not say which file was played."""
    notice: str
    """The profile of the notice."""

    def of_verdict(self, call: Call) -> dict[str, str]:
        """File names of the sounds for each party. The notice replaces any sound that cannot be played.

        Stores the files' states in `call`.
        """
        names: dict[str, str] = {}
        for party in Party:
            if party not in call.decision.profiles:
                continue
            sound = self._playable(call, party)
            if sound is None:
                log.error(
                    "%s: the sound for the %s party must not or cannot be played; the notice replaces it",
                    call.id,
                    party,
                    extra=call_extra(call.id, call.decision.reason),
                )
            names[party] = name = sound.stem.name if sound else self.notice
            if sound is None and self.files and name in self.made:
                call.files[name] = self.files.states(self.made[name])
        return names

    def _playable(self, call: Call, party: Party) -> Sound | None:
        """Sound for a party, or None if it must not or cannot be played."""
        sound = self.playable.get(call.decision.profiles.get(party, ""))
        if sound is None or self.files is None:
            return sound if sound and sound.is_there else None
        states = self.files.as_made(sound)
        if states is None:
            return None
        call.files[sound.stem.name] = states
        return sound

    def evidence(self, call: Call, line: Sounded) -> list[Step]:
        """Steps for a journal line about a sound. Raises JournalError if the line names an unknown sound."""
        if line.since and line.since == call.sounded_since:
            return []  # a replaced phone has already reported this playback when it hung up
        call.sounded_since = line.since
        called = self.made.get(line.files.get(Party.CALLED, ""))
        found: dict[Party, tuple[Sound, PlayedSound]] = {}
        for party, name in line.files.items():
            sound = self.made.get(name)
            if sound is None:
                raise JournalError("it names an unknown sound")
            found[party] = sound, played_sound(line, party, sound.duration_ms, called.duration_ms if called else None)
        lasted_ms = max(played.lasted_ms for _, played in found.values())
        # Without the time of the answer, the sound's length gives it. Asterisk sends late packets faster than the sound
        # plays, so that this can lie before the decision, which no answer can.
        began = line.since or max(call.decided_at, line.at - timedelta(milliseconds=lasted_ms))
        entered = [
            step
            for party, (sound, played) in found.items()
            for step in self._played(call, line, began, party, sound, played)
        ]
        call.sounded_at = line.at
        return entered

    def _played(
        self, call: Call, line: Sounded, began: datetime, party: Party, sound: Sound, found: PlayedSound
    ) -> Iterator[Step]:
        profile = sound.stem.name
        instead = profile != call.decision.profiles.get(party)
        if not call.answered:
            call.answered = True
            yield steps.answered(call.id, began)
        file = self._file(call, line, party, sound)
        if file is None:
            found = replace(found, known_by=None, why=found.why or FILE_CHANGED)
        elif found.lasted_ms:
            yield steps.sound_started(call.id, began, profile, file.sha256, party, file.format)
        if found.known_by and (not instead or profile == self.notice):
            call.delivery[party] = Delivery.SENT if found.known_by is KnownBy.PACKETS else Delivery.NOT_KNOWN
            yield steps.sound_ended(
                call.id,
                line.at,
                found.lasted_ms,
                party,
                known_by=found.known_by,
                packets=line.sent if party is Party.CALLED else None,
                instead=profile if instead else None,
            )
        else:
            why = found.why or "the sound that was played is not the decided one"
            log.error(
                "%s: no evidence of the sound at the %s party: %s",
                call.id,
                party,
                why,
                extra=call_extra(call.id, call.decision.reason),
            )
            yield steps.sound_failed(call.id, line.at, why, party)

    def _file(self, call: Call, line: Sounded, party: Party, sound: Sound) -> PlayedFile | None:
        """File that was played, or None if its content is unknown."""
        if line.played is Played.TONES:
            return PlayedFile(None)
        if self.files is None:
            return PlayedFile(sound.sha256)
        began = line.since or call.decided_at
        return self.files.played(sound, line.codecs.get(party, ""), began, call.files.get(sound.stem.name))


def reported_steps(call: Call, line: Reported) -> list[Step]:
    """Steps for a phone's report. Only a report about a sound that was sent yields a step."""
    if call.delivery.get(Party.CALLED) is not Delivery.SENT or not line.heard_from:
        return []
    is_confirmed = reports_confirm(line)
    if is_confirmed:
        call.delivery[Party.CALLED] = Delivery.CONFIRMED
    return [steps.sound_reported(call.id, line.at, is_confirmed, line.lost, line.lost_back)]
