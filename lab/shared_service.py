"""The service that the tests of one file share, on a shared PBX."""

from pathlib import Path

from lab.asterisk import Asterisk
from lab.publication import LAB_REGISTRY, MEMBER
from lab.service import Service


class SharedService:
    """The only service on the shared PBX. It is restarted only for other settings."""

    def __init__(self, asterisk: Asterisk) -> None:
        self.asterisk = asterisk
        self._running: Service | None = None
        self._latest: Service | None = None

    def serving(
        self, registry: Path = LAB_REGISTRY, policy: str = "", transport: str = "auto", member: str | None = MEMBER
    ) -> Service:
        association = f"member: {member}" if member else ""
        wanted = Service(self.asterisk, registry, policy, transport, association=association)
        if self._running != wanted:
            self.stop()
            wanted.start()
            self._running = self._latest = wanted
            wanted.entered()  # files of earlier tests do not belong to this one
        return self._running

    def stop_with_default_files(self) -> None:
        """Stop the service, with the default files of the hook in place.

        These are the files of a service with the lab's registry and the default policy. Starts such a service first if
        another one ran last.
        """
        if self._latest != Service(self.asterisk, LAB_REGISTRY):
            self.serving()
        self._stop()

    def stop_with_empty_journal(self) -> None:
        """Stop the service after it has read the journal lines of earlier tests, so that others may run."""
        self.serving()
        self.stop()

    def stop(self) -> None:
        """Stop the service, so that others may run."""
        self._stop()
        self._latest = None

    def _stop(self) -> None:
        if self._running:
            running, self._running = self._running, None
            running.stop()
