"""The sounds that idtone plays, as audio and drawings, with their files compared against the expected ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, RecordingError
from idtone.core.settings.settings import Settings
from idtone.core.translation import Message, template
from idtone.tones.profile import CALL_LIMIT_MS, Profile
from idtone.tones.profile_library import load_library

from ..access.rights import Right
from ..byte_ranges import range_response
from ..page import Page, Visit
from ..sound_files import MeasuredSound, SoundKind, SoundState, as_wav, formats, kind_of, measure_sound, sound_state

WAV: Final = "audio/wav"


@dataclass(frozen=True, slots=True)
class Shown:
    """One sound on the page. If no file is readable, `measured` is None and `trouble` says why."""

    state: SoundState
    measured: MeasuredSound | None
    drawn: str
    """Format of the file that is drawn."""
    trouble: object = None


async def show(visit: Visit) -> web.StreamResponse:
    """Show all sounds.

    The page loads each sound's files later, because rendering and measuring a sound for the first time take long.
    """
    settings, (tones, trouble) = visit.console.settings, await _tones(visit)
    profiles = await visit.in_thread(_profiles, settings, tones)
    return _page(visit, profiles, trouble)


async def show_one(visit: Visit) -> web.StreamResponse:
    """Show one sound, either on its own page or as part of the page with all sounds."""
    settings, (tones, trouble) = visit.console.settings, await _tones(visit)
    each = await visit.in_thread(_shown, settings, visit.part("sound"), tones)
    if each is None:
        raise web.HTTPNotFound
    if "HX-Request" in visit.request.headers:
        return web.Response(text=visit.fragment("sound_parts.html", each=each), content_type="text/html")
    return _page(visit, [each.state.profile], trouble, each)


def _page(
    visit: Visit, profiles: Sequence[Profile], trouble: IdtoneError | None, each: Shown | None = None
) -> web.StreamResponse:
    folder = visit.console.settings.sounds.directory
    return visit.render("sounds.html", profiles=profiles, trouble=trouble, folder=folder, each=each)


Tones = Mapping[str, str | None]
"""SHA-256 of the master for each of the registry's sounds, by sound id."""


async def _tones(visit: Visit) -> tuple[Tones | None, IdtoneError | None]:
    """The registry's sounds and None or, if the registry cannot be read, None and the reason."""
    try:
        return (await visit.console.registry.look()).index.tones, None
    except IdtoneError as error:
        return None, error


def _profiles(settings: Settings, tones: Tones | None) -> list[Profile]:
    """Profiles of the sounds that calls can play, sorted by kind of sound.

    Raises DocumentError if a profile is faulty.
    """
    library, notice = load_library(settings.sounds.profiles), settings.policy.policy(None).notice_profile
    order = [*SoundKind]
    found = (profile for profile in library.values() if profile.duration_ms <= CALL_LIMIT_MS)
    return sorted(found, key=lambda profile: (order.index(kind_of(profile, notice, tones)), profile.id))


def _shown(settings: Settings, sound: str, tones: Tones | None) -> Shown | None:
    """The sound and its files, or None if no call plays it. Raises DocumentError if a profile is faulty."""
    library = load_library(settings.sounds.profiles)
    if sound not in library or library[sound].duration_ms > CALL_LIMIT_MS:
        return None
    profile = library[sound]
    kind = kind_of(profile, settings.policy.policy(None).notice_profile, tones)
    return _drawn(sound_state(settings.sounds.directory, profile, library.source(sound), kind, tones))


def _drawn(state: SoundState) -> Shown:
    file = state.plays
    if file is None:
        return Shown(state, None, "", Message("No file is there."))
    try:
        return Shown(state, measure_sound(file.path), file.format)
    except (RecordingError, OSError) as error:
        return Shown(state, None, file.format, error)


async def play(visit: Visit) -> web.StreamResponse:
    """Send a file as WAV, or just the range that the browser requests."""
    path = await visit.in_thread(_file, visit.console.settings, visit.part("sound"), visit.part("format"))
    try:
        octets = await visit.in_thread(as_wav, path) if path else None
    except (RecordingError, OSError):
        octets = None
    if octets is None:
        raise web.HTTPNotFound
    return range_response(visit.request, octets, WAV)


def _file(settings: Settings, sound: str, name: str) -> Path | None:
    """Path of a sound's file, or None if the sound or format is unknown.

    The path cannot lead outside the folder, because the sound and the format must be listed in the library and the
    table of formats.
    """
    if sound not in load_library(settings.sounds.profiles) or name not in formats():
        return None
    return settings.sounds.directory / f"{sound}.{name}"


PAGES: Final[Sequence[Page]] = (
    Page("/sounds", show, Right.LOOK, title=template("Sounds")),
    Page("/sounds/{sound}", show_one, Right.LOOK),
    Page("/sounds/{sound}/{format}", play, Right.LOOK),
)
