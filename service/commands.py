"""The `idtone serve` command, which runs the service."""

import asyncio
import faulthandler
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Final

import phonenumbers.data.region_JP  # noqa: F401 — else the first call waits for it
import typer

from idtone.core import log_output
from idtone.core.decision import time_by
from idtone.core.errors import IdtoneError, TrustError, UsageError
from idtone.core.responsive_loop import prefer_event_loop
from idtone.core.settings.customer_lines import LinesSettings
from idtone.core.settings.settings import LedgerSettings, Settings, load_settings
from idtone.core.terminal.command_line import UNUSABLE, ConfigOption
from idtone.core.terminal.extras import require
from idtone.core.translation import Message, joined, translated
from idtone.ledger.disclosure.legal_basis import load_legal_bases
from idtone.ledger.keys.key_file import read_key
from idtone.ledger.keys.key_ring import successor_trees_of
from idtone.ledger.keys.log_keys import LogKeys
from idtone.registry.customer_lines.read_line_table import read_as_set
from idtone.registry.index import RegistryIndex
from idtone.registry.local_registry import read_local_registry
from idtone.registry.node_member_check import REMEDY, TONES_REMEDY, member_trouble, tones_trouble
from idtone.registry.sources import load_registry
from idtone.tones.making.sound_files import PBX_FORMATS, find_format
from idtone.tones.profile_library import load_library
from idtone.tones.sound_file_contents import SoundFileContents

from . import used_fleet_settings
from .assembly import load
from .instance import Instance
from .service_user import read_as_service, refuse_root

log = logging.getLogger(__name__)

UNUSABLE_SETTINGS: Final = 78
"""Exit code EX_CONFIG from sysexits.h, with which systemd does not restart the service, because it would fail again."""

TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Take over from the running instance, without losing a call.")
]
Check = Annotated[
    bool,
    typer.Option(
        "--check", help="Check the settings and all files that the service reads, as the service's user, then exit."
    ),
]


def serve(config: ConfigOption = None, take_over: TakeOver = False, check: Check = False) -> None:
    """Answer Asterisk's requests until SIGTERM or SIGINT. Calls in progress continue without the service.

    If root runs it with --check, it checks as the user of the unit `idtone`, so it finds files that the service cannot
    read. Exit 1: some evidence could not be written; the next start records a gap instead. Exit 78: the settings cannot
    be used.
    """
    try:
        if check:
            read_as_service(config)
        else:
            refuse_root(config)
        settings = load_settings(config)
        used_fleet_settings.refuse_older(settings)
        password = settings.ari.secret()
        if check or take_over:  # before a take-over changes anything
            check_settings(settings)
    except IdtoneError as error:
        print(f"idtone: {translated(str(error))}", file=sys.stderr)
        raise typer.Exit(UNUSABLE_SETTINGS) from None
    if check:
        for warning in _warnings(settings, _registry_here(settings)):
            print(f"idtone: {translated(warning)}", file=sys.stderr)
        print(translated(Message("the settings can be used")))
        return
    log_output.begin_logging(settings.log.format, settings.log.level)
    # Otherwise it logs each missing signature, even if enough keys signed.
    logging.getLogger("tuf").setLevel(logging.WARNING)
    faulthandler.enable()  # shows the place where the event loop was blocked when systemd's watchdog ends the process
    with _reported(settings.log.format):
        instance = Instance(settings, password, load(settings))
        prefer_event_loop()
        try:
            asyncio.run(instance.run(take_over))
        except asyncio.CancelledError:
            log.warning("second stop signal: the service ends without waiting for requests in progress")
            raise typer.Exit(1) from None
    if instance.unwritten:
        raise typer.Exit(1)  # the ledger has logged it


@contextmanager
def _reported(form: log_output.LogFormat) -> Iterator[None]:
    """Report an error that ends the service in the log's format. In text format, the command line prints it."""
    try:
        yield
    except OSError as error:
        problem = UsageError("{error}; correct this, and start the service again", error=error)
        if form is log_output.LogFormat.TEXT:
            raise problem from error
        log.critical("%s", problem)
        raise typer.Exit(UNUSABLE) from None
    except typer.Exit:
        raise
    except Exception as error:
        if form is log_output.LogFormat.TEXT:
            raise
        log.critical("%s", log_output.in_words(error), exc_info=log_output.unexpected(error))
        raise typer.Exit(UNUSABLE) from None


def check_settings(settings: Settings) -> None:
    """Read the files named by the settings without changing anything. Raises IdtoneError.

    These are the operator's files and whichever of the service's files exist.
    """
    if settings.ledger.timestamp.url:
        require("rfc3161_client")
    library = load_library(settings.sounds.profiles)
    ready = SoundFileContents(settings.sounds.directory, library)
    for profile in library.for_calls():
        for name in PBX_FORMATS:
            ready.content(profile, find_format(name))
    load_legal_bases(settings.ledger.legal_bases)
    settings.agi_secret()
    settings.fleet.key()
    _check_lines(settings.lines)
    root = settings.registry.root_file()
    if root is None:
        load_registry(settings.registry.file())
    else:
        # It imports TUF, which an unsigned registry does not need.
        from idtone.registry.trust.publication_client import PublicationClient, trusted_root

        try:
            trusted_root(root)
        except OSError as error:
            raise TrustError("{root}: {reason}", root=root, reason=error.strerror) from error
        PublicationClient(root, settings.registry.source, settings.registry.cache).check_usable()
    _check_keys(settings.ledger, settings.node)


def _warnings(settings: Settings, registry: RegistryIndex | None) -> Iterator[str]:
    """Warnings about features that calls will lack with these settings."""
    member = settings.association.member
    if trouble := member_trouble(member, registry):
        yield joined(". ", (trouble, REMEDY))
    now = time_by(registry, datetime.now(UTC))
    if trouble := tones_trouble(settings.policy.policy(member).tones, member, registry, now):
        yield joined(". ", (trouble, TONES_REMEDY))


def _registry_here(settings: Settings) -> RegistryIndex | None:
    try:
        return read_local_registry(settings.registry).index()
    except IdtoneError:
        return None


def _check_keys(ledger: LedgerSettings, node: str) -> None:
    """Check the ledger's existing keys. Raises LedgerError."""
    for path in (ledger.key_file, *LogKeys(ledger, successor_trees_of(ledger, node)).files()):
        try:
            there = path.exists()
        except OSError:
            there = True  # in a folder that this user may not enter
        if there:
            read_key(path)


def _check_lines(lines: LinesSettings) -> None:
    """Check the settings for the table of lines. Also reads the table if it is a file.

    Does not read a database, because the last good table stays in use while it is unreachable.
    """
    lines.check()
    if lines.is_database():
        lines.secret()
    elif lines.source is not None:
        read_as_set(lines).entries()
