"""Loads and connects the service's parts according to the settings, before it accepts calls."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from idtone.call_control.call_brake import CallBrake
from idtone.call_control.call_control import CallControl
from idtone.call_control.fallback_conf import UsableNumbers, read_remembered
from idtone.call_control.fallback_keeper import FallbackKeeper
from idtone.call_control.fallback_lines import FallbackLines
from idtone.call_control.fleet_chain import FleetChain
from idtone.call_control.journal_reader import JournalFolder
from idtone.call_control.playable_sounds import PlayableSounds
from idtone.call_control.restored_calls import RestoredCalls
from idtone.call_control.sound_files import SoundFiles
from idtone.core.daemon_thread import in_daemon
from idtone.core.decision import NOTHING_REMEMBERED, Policy, time_by
from idtone.core.errors import IdtoneError, ToneError
from idtone.core.persons import acting_person
from idtone.core.settings.customer_lines import LinesSettings
from idtone.core.settings.policy import SuspendedCalls
from idtone.core.settings.settings import RegistrySettings, Settings
from idtone.core.terminal.extras import require
from idtone.core.translation import joined
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.registry.customer_lines.lines_source import LinesSource
from idtone.registry.expiry_warning import ExpiryWarning
from idtone.registry.node_member_check import MemberWarning
from idtone.registry.sources import FileSource, SignedSource, Source
from idtone.registry.suspensions.suspension_file import StopsInUse, suspensions_path
from idtone.registry.used_registries import FOLDER, UsedRegistries
from idtone.tones.making.formats import SoundFormat
from idtone.tones.making.sound_files import Sound, install_sounds
from idtone.tones.profile import Profile
from idtone.tones.profile_library import ProfileLibrary, load_library
from idtone.tones.sound_file_contents import SoundFileContents

from . import canary_result
from .brake_keeper import brake_of
from .hook_from_settings import hook_for

log = logging.getLogger(__name__)

REGISTRY_WITHIN_S: Final = 30.0
"""How long startup waits for the registry's source, in seconds."""
LINES_WITHIN_S: Final = 30.0
"""How long startup waits for the table of lines, in seconds."""


@dataclass(frozen=True)
class Loaded:
    """The service's parts that are loaded before an instance takes over or serves."""

    profiles: tuple[Profile, ...]
    sounds: dict[str, Sound]
    key_ring: KeyRing
    disclosure_rules: DisclosureRules
    source: Source
    fleet: FleetChain | None
    lines: LinesSource | None = None
    """The table of customer lines; None if customers' numbers are not checked."""
    stops: StopsInUse = field(kw_only=True)
    """The operator's suspensions."""
    restore: Callable[[], object] = field(kw_only=True, default=lambda: None)
    """Restores as many damaged sound files as possible. Raises ToneError with the names of the rest."""
    hook: str | None = None
    """Digest of the hook that these settings need; None if it cannot be built."""


def load(settings: Settings) -> Loaded:
    """Load the service's parts.

    Logs any profile whose files cannot be made and replaces its sound with the notice. Raises ToneError if that profile
    is the notice.
    """
    if settings.ledger.timestamp.url:
        require("rfc3161_client")
    library = load_library(settings.sounds.profiles)
    profiles = library.for_calls()
    put = partial(
        write_sounds, settings.sounds.directory, content=SoundFileContents(settings.sounds.directory, library).content
    )
    sounds, refused = put(profiles)
    if error := refused.pop(Policy().notice_profile, None):
        raise error
    for name, error in refused.items():
        log.error("the profile %r is not played: %s; the notice replaces it", name, error)
    for sound in sounds.values():
        for file in sound.files:
            if file.written:
                log.info("made %s", file.path)
    source = source_of(settings.registry, settings.ledger.retention)
    _read_first(source)
    lines = lines_of(settings.lines)
    journal_of(settings).make()
    if settings.canary.exported:
        canary_result.make_folder(settings)
    key_ring, rules = KeyRing.of(settings.ledger, settings.node), DisclosureRules.of(settings.ledger)
    hook = _hook(settings, library)

    def restore() -> None:
        _, refused = put([profile for profile in profiles if profile.id in sounds])
        if refused:
            raise ToneError(joined("; ", dict.fromkeys(map(str, refused.values()))))

    stops = StopsInUse(suspensions_path(settings))
    return Loaded(
        profiles, sounds, key_ring, rules, source, fleet_of(settings), lines, hook, stops=stops, restore=restore
    )


def write_sounds(
    directory: Path, profiles: Iterable[Profile], content: Callable[[Profile, SoundFormat], bytes]
) -> tuple[dict[str, Sound], dict[str, ToneError]]:
    """Write the sound files. Returns the sounds and the errors, both by profile id.

    A failure for one profile does not affect the others.
    """
    sounds: dict[str, Sound] = {}
    refused: dict[str, ToneError] = {}
    for profile in profiles:
        try:
            sounds |= install_sounds(directory, [profile], content)
        except ToneError as error:
            refused[profile.id] = error
    return sounds, refused


def _hook(settings: Settings, library: ProfileLibrary) -> str | None:
    try:
        return hook_for(settings, library).digest
    except IdtoneError as error:
        log.debug("%s", error)  # `idtone doctor` reports it
        return None


def fleet_of(settings: Settings) -> FleetChain | None:
    """Chain tokens for calls between nodes, or None if no trunk leads to another node.

    Raises DocumentError if trunks are set but no usable key exists.
    """
    key = settings.fleet.key()
    return FleetChain(key, settings.node, frozenset(settings.fleet.trunks)) if key else None


def _read_first(source: Source) -> None:
    """Read the registry for the first time. If this fails, the service starts anyway and calls get the notice."""
    reading = in_daemon(source.refresh, "the first reading of the registry")
    try:
        reading.result(REGISTRY_WITHIN_S)
    except TimeoutError:
        log.error(
            "the registry's source has not answered within %g s; the service starts without a registry, and uses it "
            "when the source answers: check registry.source and its disk or server",
            REGISTRY_WITHIN_S,
        )


def lines_of(settings: LinesSettings) -> LinesSource | None:
    """The table of customer lines, opened and read once; None if the settings name no table.

    Until the table can be read, outgoing calls are refused. Raises DocumentError for inconsistent settings.
    """
    if settings.source is None:
        log.warning("customers' numbers are not checked (lines.source): any line may present any number")
        return None
    lines = LinesSource(settings)
    reading = in_daemon(lines.refresh, "the first reading of the table of lines")
    try:
        reading.result(LINES_WITHIN_S)
    except TimeoutError:
        log.error(
            "the table of lines was not read within %g s; the service starts without it, and uses it when it is read: "
            "check lines.source",
            LINES_WITHIN_S,
        )
    return lines


def journal_of(settings: Settings) -> JournalFolder:
    return JournalFolder(settings.journal_directory(), settings.sounds.directory)


def source_of(registry: RegistrySettings, used_for: timedelta | None = None) -> Source:
    """The registry's source according to the settings.

    Evidence may refer to a registry for `used_for` after its last use, or forever if `used_for` is None.
    """
    root = registry.root_file()
    if root is None:
        log.warning("the registry is unsigned: anyone who can write %s can change it", registry.source)
        return FileSource(registry.file(), UsedRegistries(registry.cache / FOLDER, used_for))
    from idtone.registry.trust.publication_client import (
        PublicationClient,  # imports TUF, which an unsigned registry does not need
    )

    repository = PublicationClient(root, registry.source, registry.cache, used_for=used_for)
    return SignedSource(repository, registry.poll.total_seconds())


def assemble(
    settings: Settings, loaded: Loaded, evidence: Evidence, ledger: LedgerReader, restored: RestoredCalls | None = None
) -> tuple[CallControl, FallbackKeeper, Callable[[], None]]:
    """Create call control, the keeper of `fallback.conf`, and a function that applies a changed registry.

    `restored` holds the calls in progress if they were already read from the ledger.
    """
    source, lines = loaded.source, loaded.lines
    policy = settings.policy.policy(settings.association.member)
    playable = PlayableSounds(loaded.sounds, loaded.profiles, lambda: source.current)
    stops = loaded.stops
    usable = UsableNumbers.by_policy(policy, lines is not None)
    fallback = FallbackKeeper(settings.sounds.directory, usable, source.is_latest, lambda: stops.index)
    brake = brake_of(settings)
    files = SoundFiles(loaded.sounds.values(), loaded.restore)
    calls = CallControl(
        registry=lambda: source.current,
        policy=policy,
        sounds=playable,
        made=loaded.sounds,
        files=files,
        evidence=evidence,
        caller_hears=settings.policy.caller_hears,
        hang_up_suspended=settings.policy.suspended_calls is SuspendedCalls.HANG_UP,
        remembered=NOTHING_REMEMBERED if source.current else read_remembered(settings.sounds.directory),
        recorded=ledger.knows,
        fleet=loaded.fleet,
        canary=settings.canary.numbers(),
        emergency_trunks=settings.policy.emergency_trunks,
        lines=lambda: lines.current if lines else None,
        own_stops=lambda: stops.index or None,
        braking=CallBrake(brake, acting_person()) if brake else None,
    )
    # Calls whose channel is gone are closed when Asterisk is connected.
    calls.restore((restored or RestoredCalls.of(ledger)).calls)

    expiry = ExpiryWarning(policy.registry_stale, settings.association.member)
    member = MemberWarning(settings.association.member, policy.tones)

    def review() -> None:
        playable.review()
        expiry.review(source.current, time_by(source.current, datetime.now(UTC)))
        member.review(source.current)
        fallback.update(source.current)

    def refresh() -> None:
        source.refresh()
        review()

    review()
    left = FallbackLines(settings.sounds.directory)
    if lines:
        left.update(lines.index)
    else:
        left.remove()
    return calls, fallback, refresh


def lines_refresher(lines: LinesSource, settings: Settings) -> Callable[[], None]:
    """Function that reads a changed table of lines and writes its numbers for the hook."""
    left = FallbackLines(settings.sounds.directory)

    def refresh() -> None:
        lines.refresh()
        left.update(lines.index)

    return refresh
