"""A proxy between a node and PostgreSQL that fails as a network does: it stalls or cuts on request."""

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

CUT = "cut"
STALL = "stall"


class FaultyNetwork:
    """Passes bytes on in both directions.

    `judge` decides on each piece: (to_server, octets) → None, CUT or STALL. A cut or stalled piece does not arrive. A
    stalled connection stays open, but delivers nothing more.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.judge: Callable[[bool, bytes], str | None] = lambda to_server, octets: None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self.refuses = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the connection was already cut
                end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:  # the server is down, and the client must notice it
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
            for source, sink, to_server in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=(source, sink, to_server), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, to_server: bool) -> None:
        stalled = False
        while True:
            try:
                octets = source.recv(65536)
                if stalled and not octets:
                    return  # the other side must not notice the end either
                verdict = self.judge(to_server, octets) if octets else CUT
                if verdict == CUT:
                    for end in (source, sink):
                        end.shutdown(socket.SHUT_RDWR)
                    return
                stalled = stalled or verdict == STALL
                if not stalled:
                    sink.sendall(octets)
            except OSError:
                return
