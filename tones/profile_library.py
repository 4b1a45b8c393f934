"""The library of tone profiles: those included in idtone, and those in the operator's own folder."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from idtone.core.errors import DocumentError, Fault, UsageError
from idtone.core.translation import Message, template
from idtone.core.yaml_documents import read_text, read_tree

from .profile import CALL_LIMIT_MS, FILE_SIZE_LIMIT, Profile, load_profile, parse_profile

_SUFFIXES = (".yaml", ".yml")
SHIPPED = template("shipped with idtone")
_TOO_LONG = f"Shorten it to {CALL_LIMIT_MS} ms, because it delays the connection; or keep it outside sounds.profiles"


class ProfileLibrary(Mapping[str, Profile]):
    """Profiles by id. Raises DocumentError if two profiles have the same id."""

    def __init__(self, sourced: Iterable[tuple[str, Profile]]) -> None:
        self._profiles: dict[str, Profile] = {}
        self._sources: dict[str, str] = {}
        faults = []
        for source, profile in sourced:
            if profile.id in self._profiles:
                problem = f"{profile.id!r} is the id of another profile, {self._sources[profile.id]}"
                faults.append(Fault(source, 0, 0, "id", problem, Message("Give this profile another id")))
                continue
            self._profiles[profile.id] = profile
            self._sources[profile.id] = source
        if faults:
            raise DocumentError(faults)

    def __getitem__(self, profile_id: str) -> Profile:
        return self._profiles[profile_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._profiles)

    def __len__(self) -> int:
        return len(self._profiles)

    def source(self, profile_id: str) -> str:
        """The source of a profile: its file, or `SHIPPED`."""
        return self._sources[profile_id]

    def named(self, profile_id: str) -> Profile:
        """The profile with this id. If the id is unknown, raises UsageError, which lists all ids."""
        try:
            return self._profiles[profile_id]
        except KeyError:
            known = ", ".join(self._profiles)
            raise UsageError(
                "unknown tone profile {profile_id!r}; the profiles are {known}", profile_id=profile_id, known=known
            ) from None

    def for_calls(self) -> tuple[Profile, ...]:
        """All profiles. Raises DocumentError if one is longer than `CALL_LIMIT_MS`."""
        faults = [
            Fault(
                source,
                0,
                0,
                "segments",
                Message("make a sound of {duration_ms:g} ms", duration_ms=self[name].duration_ms),
                _TOO_LONG,
            )
            for name, source in self._sources.items()
            if self[name].duration_ms > CALL_LIMIT_MS
        ]
        if faults:
            raise DocumentError(faults)
        return tuple(self._profiles.values())


def load_library(extra: Path | None = None) -> ProfileLibrary:
    """The profiles included in idtone and those in the folder `extra`.

    Raises DocumentError with all faults of all files, or if the folder cannot be read.
    """
    return ProfileLibrary([*_shipped(), *(_of_folder(extra) if extra else ())])


def namesake_source(profile_id: str, path: Path) -> str | None:
    """The source of another profile with this id: `SHIPPED`, another file next to `path`, or None."""
    if any(profile.id == profile_id for _, profile in _shipped()):
        return SHIPPED
    for other in sorted(path.parent.iterdir()) if path.parent.is_dir() else ():
        if other.name.endswith(_SUFFIXES) and other.name != path.name and _id_of(other) == profile_id:
            return str(other)
    return None


def _id_of(path: Path) -> str | None:
    try:
        tree = read_tree(read_text(path, size_limit=FILE_SIZE_LIMIT), str(path))
    except DocumentError:
        return None  # a file that cannot be loaded occupies no id, and the library reports its faults
    return tree.get("id") if isinstance(tree, dict) else None


@cache
def _shipped() -> Sequence[tuple[str, Profile]]:
    """The included profiles as pairs of source and profile.

    They are parsed once per process, because the console's sound pages use them often.
    """
    folder = resources.files("idtone.config") / "profiles"
    return tuple(
        (SHIPPED, parse_profile(file.read_text(encoding="utf-8"), f"profiles/{file.name}"))
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if file.name.endswith(_SUFFIXES)
    )


def _of_folder(folder: Path) -> Iterator[tuple[str, Profile]]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES))
    except OSError as error:
        problem = f"cannot be listed: {error.strerror}"
        remedy = "Create the folder, or correct sounds.profiles in the settings"
        raise DocumentError([Fault(str(folder), 0, 0, "", problem, remedy)]) from error
    faults: list[Fault] = []
    for path in paths:
        try:
            yield str(path), load_profile(path)
        except DocumentError as error:
            faults += error.faults
    if faults:
        raise DocumentError(faults)
