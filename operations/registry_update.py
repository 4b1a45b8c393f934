"""`idtone registry update`: fetches the registry, and writes its suspended numbers for Asterisk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from idtone.call_control.fallback_conf import UsableNumbers
from idtone.call_control.fallback_keeper import FallbackKeeper
from idtone.core.errors import DocumentError, TrustError
from idtone.core.settings.settings import RegistrySettings, Settings, load_settings
from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking
from idtone.registry.index import RegistryIndex, interim_origin
from idtone.registry.sources import (
    identity,
    index_of,
    is_prepared,
    origin_of,
    parse_document,
    prepare,
    read_unsigned_registry,
)
from idtone.registry.suspensions.suspension_file import StopsInUse, suspensions_path
from idtone.service.service_user import act_as_service

if TYPE_CHECKING:
    from idtone.registry.trust.publication_client import PublicationClient, Published


def update(
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Report only faults, and read the registry only if it has changed.")
    ] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Fetch what the association has published, and write the suspended and own numbers for Asterisk (fallback.conf).

    A running service does this itself. While the service is down, this command passes suspensions to Asterisk; idtone's
    timer runs it once a minute. An unsigned registry is read in place. Run it as the user of `idtone serve`, or as
    root, which switches to that user. Exit 2: the registry cannot be read, or is not what the association signed, or
    fallback.conf cannot be written; the registry on this machine then stays unchanged.
    """
    settings = load_settings(config)
    root = settings.registry.root_file()
    with checking():
        if root is None:
            source, index, fallback = _unsigned(settings, config, quiet)
        else:
            source, index, fallback = _signed(root, settings, config, quiet)
    if quiet or index is None:
        return
    report: dict[str, Any] = {"source": source, "version": index.version, "trust": index.trust}
    report |= {"good_until": index.expires.isoformat(), **index.counts, "suspensions": index.listed_suspensions}
    report["fallback"] = fallback
    if as_json:
        command_line.print_json(report)
    else:
        print(*(f"{name:<11} {value}" for name, value in report.items()), sep="\n")


_Read = tuple[str, RegistryIndex | None, str]
"""The registry's source, its index or None if that was not needed, and the result of writing fallback.conf."""


def _unsigned(settings: Settings, config: Path | None, quiet: bool) -> _Read:
    """Read an unsigned registry from its file.

    Raises DocumentError and FallbackError.
    """
    act_as_service(config, settings.registry.cache, settings.sounds.directory, make=False)
    path = settings.registry.file()
    seen = identity(path)
    text = read_unsigned_registry(path)
    origin = origin_of(text)
    fallback = _Suspended(settings, lambda: identity(path) == seen)
    if quiet and fallback.are_of(origin):
        return str(path), None, ""
    index = RegistryIndex(parse_document(text, str(path)), origin=origin)
    return str(path), index, fallback.write(index)


def _signed(root: Path, settings: Settings, config: Path | None, quiet: bool) -> _Read:
    """Fetch a signed registry from its source, and write its suspensions for Asterisk.

    If the source cannot be used, fallback.conf is written from the cache. Raises TrustError, DocumentError and
    FallbackError.
    """
    from idtone.registry.trust.publication_client import (
        PublicationClient,  # here, because TUF takes longer to import than all the rest
    )

    registry: RegistrySettings = settings.registry
    act_as_service(config, registry.cache, settings.sounds.directory, whole=True)
    repository = PublicationClient(root, registry.source, registry.cache, used_for=settings.ledger.retention)
    trouble: DocumentError | TrustError | None = None
    while True:
        with repository.locked():
            before = _kept(repository)
            try:
                if trouble is not None:
                    raise trouble
                published = repository.update()
                fallback = _Suspended(settings, partial(_is_kept, repository, published))
                index, is_needed = None, not (quiet and fallback.are_of(published.origin))
                if not is_needed or is_prepared(published):
                    index = index_of(published) if is_needed else None
                    if published != before:
                        repository.keep(published)
                    break
            except (DocumentError, TrustError):
                if before is not None:
                    newer = repository.last_good_stops()  # the service uses them while it compiles the newer members
                    origin = interim_origin(before.origin, newer.origin) if newer else before.origin
                    fallback = _Suspended(settings, partial(_is_kept, repository, before))
                    if not fallback.are_of(origin):
                        fallback.write(index_of(before, newer))
                raise
        try:
            prepare(published)  # without the lock, for which the service waits when a suspension comes
        except (DocumentError, TrustError) as error:
            trouble = error
    return registry.source, index, fallback.write(index) if index else ""


def _kept(repository: PublicationClient) -> Published | None:
    """The generation in the cache; None if it is missing or damaged."""
    try:
        return repository.last_good()
    except TrustError:
        return None


def _is_kept(repository: PublicationClient, published: Published) -> bool:
    return _kept(repository) == published


class _Suspended:
    """Writes fallback.conf if the machine has a folder for it.

    The association's machines have no such folder.
    """

    def __init__(self, settings: Settings, is_latest: Callable[[], bool]) -> None:
        folder = settings.sounds.directory
        policy = settings.policy.policy(settings.association.member)
        usable = UsableNumbers.by_policy(policy, settings.lines.source is not None)
        stops = StopsInUse(suspensions_path(settings))
        self._fallback = FallbackKeeper(folder, usable, is_latest, lambda: stops.index) if folder.exists() else None

    def are_of(self, origin: str) -> bool:
        return self._fallback is None or self._fallback.is_made_of(origin)

    def write(self, index: RegistryIndex) -> str:
        """Write fallback.conf, and return `written`, `current`, or `none` if there is no folder for it.

        Raises FallbackError.
        """
        if self._fallback is None:
            return "none"
        return "written" if self._fallback.update(index) else "current"
