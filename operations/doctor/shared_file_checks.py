"""Checks of the files that the service and Asterisk share: sounds, fallback.conf and the journal."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from idtone.call_control.fallback_keeper import MODE as FALLBACK_MODE
from idtone.call_control.journal_reader import FILE_MODE, TAKEN
from idtone.call_control.sound_files import sound_files_in
from idtone.core.errors import DocumentError, ToneError
from idtone.core.terminal.extras import install_command
from idtone.core.translation import Message
from idtone.dialplan import FALLBACK_FILE, JOURNAL_FILE
from idtone.tones.making.sound_files import PBX_FORMATS, find_format
from idtone.tones.profile_library import SHIPPED
from idtone.tones.sound_file_contents import SoundFileContents, available_encoder

from . import observe_machine, shared_file_findings, write_trial
from .check_inputs import AS_SERVICE, BAD_PROFILES, UNIT, CheckInputs
from .findings import Finding, State, bad, unknown

SOUNDS: Final = ("sounds", "sounds-readable")
NOT_MADE: Final = (
    Message("a sound cannot be made"),
    Message("Import the sound again, or: {command}", command=install_command("sounds")),
)
WRITABLE: Final = ("sounds-writable", "journal-writable")


def sounds_check(inputs: CheckInputs) -> Iterator[Finding]:
    directory = inputs.settings.sounds.directory
    try:
        profiles = inputs.library.for_calls()
    except DocumentError as error:
        yield bad("sounds", str(error.faults[0]), BAD_PROFILES[1])
        yield unknown("sounds-readable", *BAD_PROFILES)
        return
    made_anew = available_encoder()
    content = made_anew or SoundFileContents(directory, inputs.library).content
    try:
        wanted = {
            directory / f"{profile.id}{made.extension}": content(profile, made)
            for profile in profiles
            for made in map(find_format, PBX_FORMATS)
        }
    except ToneError as error:
        yield bad("sounds", str(error), NOT_MADE[1])
        yield unknown("sounds-readable", *NOT_MADE)
        return
    try:
        there = {path: observe_machine.content(path) for path in wanted}
    except OSError as error:
        yield unknown("sounds", f"{error.filename}: {error.strerror}", AS_SERVICE)
        yield unknown("sounds-readable", f"{error.filename}: {error.strerror}", AS_SERVICE)
        return
    further = sorted(set(sound_files_in(directory, {profile.id for profile in profiles})) - set(wanted))
    by_list = made_anew is None and any(inputs.library.source(profile.id) != SHIPPED for profile in profiles)
    yield shared_file_findings.sound_files(wanted, there, bool(inputs.running()), further, by_list=by_list)
    who = inputs.asterisk_process()
    try:
        folders = [observe_machine.rights(folder) for folder in (*reversed(directory.absolute().parents), directory)]
        files = [path for path, held in there.items() if held is not None]
        if observe_machine.exists(directory / FALLBACK_FILE):
            files.append(directory / FALLBACK_FILE)
        held = [observe_machine.rights(path) for path in files]
    except OSError as error:
        yield unknown("sounds-readable", f"{error.filename}: {error.strerror}", AS_SERVICE)
        return
    yield shared_file_findings.sound_access(who, folders, held, _group(who, folders[-1]))


def journal_check(inputs: CheckInputs) -> Iterator[Finding]:
    path = inputs.settings.journal_directory().absolute() / JOURNAL_FILE
    beside = inputs.settings.sounds.directory.absolute()
    try:
        held = observe_machine.rights(path) if observe_machine.exists(path) else None
        folders = [observe_machine.rights(folder) for folder in reversed(path.parents)] if held else []
        own = observe_machine.rights(beside) if observe_machine.exists(beside) else None
        left = len(list(path.parent.glob(f"{TAKEN}*")))
    except OSError as error:
        yield unknown("journal", f"{error.filename}: {error.strerror}", AS_SERVICE)
        return
    who = inputs.asterisk_process()
    yield shared_file_findings.journal_access(who, folders, path, held, left, _group(who, own), beside)


def writable_check(inputs: CheckInputs) -> Iterator[Finding]:
    beside, journal = inputs.settings.sounds.directory.absolute(), inputs.settings.journal_directory().absolute()
    who, process = inputs.service_user()
    try:
        ours, theirs = [
            _tried(write_trial.Place(folder, mode, beside), who, process)
            for folder, mode in ((beside, FALLBACK_MODE), (journal, FILE_MODE))
        ]
    except OSError as error:
        for topic in WRITABLE:
            yield unknown(topic, f"{error.filename}: {error.strerror}", AS_SERVICE)
        return
    reader, own = inputs.asterisk_process(), ours.held
    owner = f"{observe_machine.user_name(who.user) if who else UNIT}:{_group(reader, own)}"
    finding = shared_file_findings.put_access(WRITABLE[0], ours, who, owner, shared_file_findings.SOUNDS_MODE)
    yield finding
    # The group of the sounds' folder, now or after the remedy.
    group = shared_file_findings.group_for(reader, own) if finding.state is State.BAD else own.group if own else None
    # The changes open the way to the journal, so `--fix` repairs both at once.
    if who and own and theirs.held and finding.changes:
        opened = shared_file_findings.Rights(beside, shared_file_findings.SOUNDS_MODE, who.user, group or own.group)
        theirs = replace(theirs, above=[opened if each.path == beside else each for each in theirs.above])
    yield shared_file_findings.put_access(WRITABLE[1], theirs, who, owner, shared_file_findings.JOURNAL_MODE, group)


def _tried(
    place: write_trial.Place, who: shared_file_findings.Identity | None, process: int | None
) -> shared_file_findings.PutTrial:
    """Result of an attempt to write a file into a folder as the service.

    Raises OSError if the folder cannot be read.
    """
    held = observe_machine.rights(place.folder) if observe_machine.exists(place.folder) else None
    above = [observe_machine.rights(folder) for folder in observe_machine.folders_above(place.folder)]
    error, why = None, ""
    if who and held:
        try:
            error = write_trial.trial(place, who, process)
        except write_trial.NotTriedError as not_tried:
            why = str(not_tried)
    return shared_file_findings.PutTrial(place.folder, above, held, error, why)


def _group(reader: shared_file_findings.Identity | None, folder: shared_file_findings.Rights | None) -> str:
    group = shared_file_findings.group_for(reader, folder)
    return "asterisk" if group is None else observe_machine.group_name(group)
