"""The inputs that all of the doctor's checks share: settings, what Asterisk reports, and profiles."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from idtone.core.errors import AriError, DocumentError, LedgerError
from idtone.core.settings.settings import Settings
from idtone.core.translation import Message
from idtone.dialplan import Hook
from idtone.ledger.store.sqlite import path_of
from idtone.service.hook_from_settings import hook_for
from idtone.tones.profile_library import ProfileLibrary, load_library

from ..asterisk_console import AsteriskConsole
from . import observe_asterisk, observe_machine
from .asterisk_findings import AsteriskObservation
from .shared_file_findings import Identity

USUAL_FOLDER: Final = Path("/etc/asterisk")
UNIT: Final = "idtone"
SYSTEMD_S: Final = 3.0
AS_SERVICE: Final = Message("Run this as the user that `idtone serve` runs as")
BAD_PROFILES: Final = (Message("the tone profiles have faults"), Message("idtone tone list, and correct what it names"))
_LOCK: Final = ".lock"


@dataclass
class CheckInputs:
    """The inputs to one run of the doctor.

    Asterisk is observed once, and the checks that need the result wait for it.
    """

    settings: Settings
    config: Path | None
    """The settings file as the user named it, for use in remedies."""
    named_folder: Path | None
    """Asterisk's configuration folder, if the user named one."""
    environment: Mapping[str, str]
    now: Callable[[], datetime]
    _seen: Future[AsteriskObservation] = field(default_factory=Future)

    def look(self, secret: str) -> AsteriskObservation:
        """Observe Asterisk over ARI once, for all checks.

        Raises AriError.
        """
        try:
            seen = observe_asterisk.observe(self.settings.ari, secret)
        except BaseException as error:
            self._seen.set_exception(error)
            raise
        self._seen.set_result(seen)
        return seen

    def not_looked(self, error: DocumentError) -> None:
        """Record that Asterisk cannot be observed because its password cannot be read."""
        self._seen.set_exception(error)

    @property
    def seen(self) -> AsteriskObservation | None:
        """The observation of Asterisk, for which this waits; None if it failed."""
        try:
            return self._seen.result()
        except (AriError, DocumentError):
            return None  # the check of the topic `ari` says why

    @property
    def folder(self) -> Path | None:
        """Asterisk's configuration folder; None if Asterisk is on another machine."""
        if self.named_folder:
            return self.named_folder
        seen = self.seen
        if seen is None:
            return USUAL_FOLDER
        return Path(seen.variables["ASTETCDIR"] or USUAL_FOLDER) if seen.nearby else None

    @cached_property
    def library(self) -> ProfileLibrary:
        """Sound profiles, including those from the settings.

        Raises DocumentError.
        """
        return load_library(self.settings.sounds.profiles)

    def hook(self) -> Hook:
        """The hook that `idtone dialplan export` would write.

        Raises DocumentError and UsageError.
        """
        return hook_for(self.settings, self.library)

    def running(self) -> bool | None:
        """True if a service is running and holds the ledger's lock; None if that is unknown."""
        lock = self._lock()
        return observe_machine.is_open(lock) if lock else None  # the check of the topic `ledger` says why it has none

    def service_user(self) -> tuple[Identity | None, int | None]:
        """The service's user, and its process id if it is running.

        If the service is not running, the user comes from its unit or is the owner of the ledger's lock, the ledger or
        its folder.
        """
        lock = self._lock()
        process = observe_machine.holder(lock) if lock else None
        who = observe_machine.process_identity(process) if process else None
        if who:
            return who, process
        if unit := observe_machine.unit_account(UNIT, SYSTEMD_S):
            return unit, None
        if lock is None:
            return None, None
        owners = [found[1] for found in map(observe_machine.mode_and_owner, (lock, lock.with_suffix(""))) if found]
        folder = observe_machine.mode_and_owner(lock.parent)
        if folder and folder[1] != 0:  # root's folder does not name the service's user
            owners.append(folder[1])
        return observe_machine.account_identity(owners[0]) if owners else None, None

    def _lock(self) -> Path | None:
        try:
            path = path_of(self.settings.ledger.own_url())
        except LedgerError:
            return None
        return path.with_name(f"{path.name}{_LOCK}")

    def asterisk_process(self) -> Identity | None:
        """Asterisk's user; None if its process cannot be found."""
        seen = self.seen
        if seen is None or not seen.nearby or not seen.variables["ASTRUNDIR"]:
            return None
        return observe_machine.identity_by_pid_file(Path(seen.variables["ASTRUNDIR"], "asterisk.pid"))

    @property
    def own_folder(self) -> Path | None:
        """Configuration folder of this machine's Asterisk; None if `folder` is a copy or on another machine."""
        folder, seen = self.folder, self.seen
        if folder is None:
            return None
        if seen is None:
            host = urlsplit(self.settings.ari.url).hostname or ""
            is_here = host == "localhost" or (observe_machine.is_address(host) and ip_address(host).is_loopback)
            return folder if is_here else None
        own = Path(seen.variables["ASTETCDIR"])
        is_own = seen.nearby and own.is_dir() and folder.is_dir() and own.samefile(folder)
        return folder if is_own else None

    def asterisk_version(self) -> str | None:
        """Asterisk's version from ARI, the console or the installed program; None if all three fail."""
        if self.seen:
            return self.seen.version
        folder = self.own_folder
        return AsteriskConsole(folder).version() if folder else None

    def asterisk_pid(self) -> int | None:
        """Process id of the Asterisk on this machine; None if it was not found."""
        seen, folder = self.seen, self.own_folder
        if folder is None:
            return None
        if seen and seen.variables["ASTRUNDIR"]:
            return observe_machine.pid_in(Path(seen.variables["ASTRUNDIR"], "asterisk.pid"))
        return AsteriskConsole(folder).process()
