"""The service beside the PBX that the tests of one file share."""

from pathlib import Path

from lab.asterisk import Asterisk
from lab.publication import LAB_REGISTRY, MEMBER
from lab.service import Service


class SharedService:
    """The service beside the shared PBX. One runs at a time, and it is started again only for other settings."""

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
            self.away()
            wanted.start()
            self._running = self._latest = wanted
            wanted.entered()  # files of earlier tests are none of this one's
        return self._running

    def left(self) -> None:
        """Stop the service, after one with the lab's registry and the default policy was the latest to run here."""
        if self._latest != Service(self.asterisk, LAB_REGISTRY):
            self.serving()
        self._stop()

    def settled(self) -> None:
        """Stop it, so that others may run, with a journal free of lines from earlier tests."""
        self.serving()
        self.away()

    def away(self) -> None:
        """Stop it, so that others may run."""
        self._stop()
        self._latest = None

    def _stop(self) -> None:
        if self._running:
            running, self._running = self._running, None
            running.stop()
