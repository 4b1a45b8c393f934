"""Imports a supplied master, creating its profile and all its sound files or changing nothing.

The copy of the master is exact, and its name contains the first digits of its hash. A new master therefore never
overwrites an old one. It takes effect as soon as its profile replaces the old profile.
"""

import hashlib
import json
import math
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import DocumentError, RecordingError, ToneError, UsageError
from idtone.core.files import Draft, draft
from idtone.core.yaml_documents import read_text

from .making.master_recording import LONGEST_MASTER_S
from .making.sound_files import Sound, ensure_sounds, find_format
from .master_measurement import MasterMeasurement, decibel_text, measure_master
from .measuring.levels import SILENCE_DB
from .profile import FILE_SIZE_LIMIT, Law, Profile, build_profile, load_profile, parse_profile, sha256_of
from .profile_library import namesake_source
from .recordings.audio_files import read_audio_file
from .recordings.open_recording import open_recording, warn
from .recordings.recorded_leg import RecordedLeg
from .registered_profile_check import play_objection
from .sound_file_contents import digest_list_path, digest_list_text

MASTER_SIZE_LIMIT: Final = 128 * 1024 * 1024
"""Maximum size of a master, in bytes. A minute of stereo at 192 kHz in 32 bits takes 92 million."""
_BLOCK: Final = 1024 * 1024
_EXTENSION: Final = re.compile(r"\.[a-z0-9-]{1,10}")


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The values for a new profile made from a master.

    `registered` maps the registry's sounds to the SHA-256 of their masters (see
    `registered_profile_check.play_objection`).
    """

    profile_id: str
    title: str
    level_dbm0: float
    law: Law = Law.A
    standard: bool = False
    expected_sha256: str | None = None
    registered: Mapping[str, str | None] | None = None
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """An import's files with their final paths. `measured` describes the supplied master."""

    profile: Profile
    profile_file: Path
    measured: MasterMeasurement
    sound: Sound


def import_master(master: Path, request: ImportRequest, folder: Path, sounds: Path, formats: Iterable[str]) -> Imported:
    """Write the profile and the master to `folder`, and the sound files to `sounds`.

    Missing folders are created. Raises ToneError with all of the master's faults, or if a file cannot be written.
    Raises RecordingError if the master is not a sound, and DocumentError for an invalid id, title or level. Raises
    UsageError for an unknown format, if the profile exists and `replaces` is False, or if another profile has its id.
    """
    wanted = list(dict.fromkeys(formats))
    for name in wanted:
        find_format(name)
    profile = _provisional(request)
    path = folder / f"{profile.id}.yaml"
    _refuse_namesakes(path, request)
    with _scratch() as scratch:
        copy, sha256 = _copy(master, scratch, profile.id)
        profile = profile.model_copy(update={"recording": Path(copy.name), "sha256": sha256})
        _refuse_unproven(master, profile, request)
        measured = measure_master(_read(copy, master), str(master))
        profile = profile.model_copy(update={"trim": measured.trim})
        (scratch / path.name).write_text(profile_text(profile, measured, master.name), encoding="utf-8")
        sound = ensure_sounds(scratch / "sounds", [load_profile(scratch / path.name)], wanted)[profile.id]
        listed = digest_list_path(scratch / path.name)
        digests = {file.path.name: file.sha256 for file in sound.files}
        listed.write_text(digest_list_text({path.name: sha256_of(scratch / path.name)} | digests), encoding="utf-8")
        earlier = _earlier_master(path)
        _put_in_place(
            [
                (copy, folder / copy.name),
                *((file.path, sounds / file.path.name) for file in sound.files),
                (listed, digest_list_path(path)),
                (scratch / path.name, path),
            ]
        )
    if earlier and earlier.name != copy.name:
        earlier.unlink(missing_ok=True)
    files = tuple(replace(file, path=sounds / file.path.name) for file in sound.files)
    return Imported(
        profile.model_copy(update={"recording": folder / copy.name}),
        path,
        measured,
        replace(sound, stem=sounds / profile.id, files=files),
    )


def profile_text(profile: Profile, measured: MasterMeasurement, name: str) -> str:
    """The text of the profile's file. `name` is the file name of the supplied master."""
    origin = json.dumps(name, ensure_ascii=not name.isprintable())
    standard = (
        "# The association's standard sound: the registry named the SHA-256 of this master at the import.\n"
        "# 協会標準識別音です。取り込み時に、この原盤の SHA-256 が登録簿と一致することを確認しています。\n"
        if profile.standard
        else "# Not marked as the association's standard sound.  協会標準識別音とは指定されていません。\n"
    )
    trim, level_dbm0, peak_db = measured.trim, measured.level_dbm0(profile.law), 20 * math.log10(measured.peak)
    return (
        f"{standard}#\n"
        f"# Written by `idtone tone import` from {origin}. An exact copy of the master is beside this file.\n"
        "# No sound is made of a master with another SHA-256 than the one below. To change the profile, import again.\n"
        f"# `idtone tone import` が {origin} から作成しました。原盤はこのファイルの隣に元のまま保存されています。\n"
        "# 下の SHA-256 と一致しない原盤からは音を作りません。変更するときは編集せず、もう一度取り込んでください。\n"
        "#\n"
        "# Measurements of the master / 原盤の測定値:\n"
        f"#   level of the sounding part / 有音部のレベル   {level_dbm0:.2f} dBm0 ({profile.law})\n"
        f"#   peak / ピーク                                 {decibel_text(peak_db)} of full scale\n"
        f"#   noise, at most / 雑音(最大)                 {decibel_text(measured.noise_db)} relative to the sound\n"
        f"#   DC / 直流分                                   {decibel_text(measured.dc_db)} relative to the sound\n"
        f"#   sample rate / 標本化周波数                    {measured.sample_rate_hz} Hz\n"
        f"#   duration / 長さ                               {measured.duration_ms:.1f} ms\n"
        f"id: {profile.id}\n"
        f"title: {json.dumps(profile.title, ensure_ascii=False)}\n"
        f"standard: {json.dumps(profile.standard)}\n"
        f"recording: {json.dumps(str(profile.recording), ensure_ascii=False)}\n"
        f"sha256: {profile.sha256}\n"
        "# The part of the master that is the sound / 原盤のうち音の部分\n"
        f"trim: {{from_ms: {trim.from_ms:.10g}, to_ms: {trim.to_ms:.10g}}}\n"
        "# The level to which its sounding part is brought / 有音部をこのレベルに合わせます\n"
        f"level_dbm0: {profile.level_dbm0:.10g}\n"
        f"law: {profile.law}\n"
    )


def import_report(made: Imported, request: ImportRequest) -> dict[str, Any]:
    """An import's result as JSON values for the command. The level of silence is None."""
    profile, measured = made.profile, made.measured
    named = (request.registered or {}).get(profile.id)
    return {
        "id": profile.id,
        "title": profile.title,
        "standard": profile.standard,
        "profile": str(made.profile_file),
        "master": str(profile.recording),
        "sha256": profile.sha256,
        "registry": "names this master" if named else "not asked" if request.registered is None else "names no master",
        "level_dbm0": profile.level_dbm0,
        "law": profile.law,
        "recorded_dbm0": round(measured.level_dbm0(profile.law), 2),
        "peak_dbfs": _number(20 * math.log10(measured.peak)),
        "noise_db": _number(measured.noise_db),
        "dc_db": _number(measured.dc_db),
        "sample_rate_hz": measured.sample_rate_hz,
        "from_ms": measured.trim.from_ms,
        "to_ms": measured.trim.to_ms,
        "duration_ms": round(measured.duration_ms, 1),
        "sounds": [
            {"file": file.path, "format": file.sound_format.name, "sha256": file.sha256} for file in made.sound.files
        ],
    }


def _number(level_db: float) -> float | None:
    return None if level_db <= SILENCE_DB else round(level_db, 1)


def _provisional(request: ImportRequest) -> Profile:
    """The profile before its master is read."""
    tree: dict[str, Any] = {
        "id": request.profile_id,
        "title": request.title,
        "standard": request.standard,
        "level_dbm0": request.level_dbm0,
        "law": request.law,
        "recording": "master",
        "sha256": "0" * 64,
        "trim": {"to_ms": 1},
    }
    return build_profile(tree, "the imported profile")


def _refuse_namesakes(path: Path, request: ImportRequest) -> None:
    other = namesake_source(request.profile_id, path)
    if other:
        raise UsageError(
            "{profile_id!r} is the id of another profile, {other}; choose another with --id",
            profile_id=request.profile_id,
            other=other,
        )
    if path.exists() and not request.replaces:
        raise UsageError("{path} exists already; use --replace to replace its master", path=path)


def _refuse_unproven(master: Path, profile: Profile, request: ImportRequest) -> None:
    expected = request.expected_sha256
    if expected is not None and profile.sha256 != expected.strip().lower():
        raise ToneError(
            "{master}: has the SHA-256 {sha256}, but {expected} is expected; get the right file, and "
            "check the expected hash with its sender",
            master=master,
            sha256=profile.sha256,
            expected=expected,
        )
    if request.registered is None and not profile.standard:
        return
    reason = play_objection(profile, request.registered)
    if reason:
        raise ToneError(
            "{master}: cannot be imported as {id!r}: {reason}. Get the association's master, and a "
            "registry that names it",
            master=master,
            id=profile.id,
            reason=reason,
        )


def _copy(master: Path, folder: Path, profile_id: str) -> tuple[Path, str]:
    """The path and SHA-256 of a copy of the master.

    All later steps read the copy, because `master` may change in the meantime. Raises RecordingError if the master is
    too large.
    """
    digest, size = hashlib.sha256(), 0
    unnamed = folder / "master"
    with open_recording(master) as source, unnamed.open("wb") as target:
        while block := source.read(_BLOCK):
            size += len(block)
            if size > MASTER_SIZE_LIMIT:
                raise RecordingError(
                    "{master}: is larger than {limit_mib} MiB; no sound of a call is that long",
                    master=master,
                    limit_mib=MASTER_SIZE_LIMIT // 1024**2,
                )
            digest.update(block)
            target.write(block)
    sha256 = digest.hexdigest()
    suffix = master.suffix.lower()
    if not _EXTENSION.fullmatch(suffix) or suffix in (".yaml", ".yml"):
        suffix = ""
    copy = folder / f"{profile_id}.master-{sha256[:8]}{suffix}"
    unnamed.rename(copy)
    return copy, sha256


def _read(copy: Path, master: Path) -> tuple[RecordedLeg, ...]:
    """The legs of the copy. Warnings and errors name the user's file, not the copy."""

    def renamed(text: str) -> str:
        return text.replace(str(copy), str(master), 1)

    try:
        return read_audio_file(copy, longest_s=LONGEST_MASTER_S, notice=lambda text: warn(renamed(text)))
    except RecordingError as error:
        raise RecordingError(renamed(str(error))) from error


@contextmanager
def _scratch() -> Iterator[Path]:
    """Create a temporary folder. Raises ToneError if the folder or a file in it cannot be written."""
    try:
        with tempfile.TemporaryDirectory(prefix="idtone-import.") as folder:
            yield Path(folder)
    except OSError as error:
        raise ToneError(
            "{file}: cannot be written: {reason}. Make room for temporary files, or set TMPDIR to another folder",
            file=error.filename or tempfile.gettempdir(),
            reason=error.strerror,
        ) from error


def _earlier_master(path: Path) -> Path | None:
    """The replaced profile's master, if it came from an import."""
    if not path.exists():
        return None
    try:
        earlier = parse_profile(read_text(path, size_limit=FILE_SIZE_LIMIT), str(path))
    except DocumentError:
        return None  # an unreadable profile is replaced too, but its master stays
    if earlier.recording is None or not earlier.recording.name.startswith(f"{earlier.id}.master-"):
        return None
    master = path.with_name(earlier.recording.name)
    return master if master.is_file() else None


def _put_in_place(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move all files into place in this order, or restore all of them on failure. Raises ToneError."""
    done: list[tuple[Path, Draft | None]] = []
    try:
        with ExitStack() as drafts:
            for _, target in moves:
                target.parent.mkdir(parents=True, exist_ok=True)
            new = [drafts.enter_context(_copied(source, target)) for source, target in moves]
            earlier = [
                drafts.enter_context(_copied(target, target)) if target.exists() else None for _, target in moves
            ]
            try:
                for each, backup in zip(new, earlier, strict=True):
                    done.append((each.target, backup))
                    each.put()
            except BaseException:  # not even an interruption may leave half an import
                for target, backup in reversed(done):
                    if backup:
                        backup.put()
                    else:
                        target.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ToneError(
            "{file}: cannot be written: {reason}. Let the user that runs idtone write there, or name another folder",
            file=error.filename2 or error.filename or moves[0][1],
            reason=error.strerror,
        ) from error


@contextmanager
def _copied(source: Path, target: Path) -> Iterator[Draft]:
    """Create a draft of `target` with the content of `source`."""
    with draft(target) as new:
        with source.open("rb") as original:
            shutil.copyfileobj(original, new.file)
        new.flush_to_disk()
        yield new
