"""Signs with a log key in a hardware token (PKCS#11).

A separate process signs, so no call waits for the token. While the token is unavailable, every attempt to sign fails
immediately, and idtone retries from time to time in the background. It does not retry a rejected PIN, because tokens
lock themselves after a few attempts.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from idtone.core.daemon_thread import in_daemon
from idtone.core.errors import DocumentError, TokenAwayError, TokenError
from idtone.core.hardware_tokens import fault_of
from idtone.core.signed_notes import Algorithm, SignatureLine, VerifierKey
from idtone.core.translation import Message

PROGRAM: Final = [sys.executable, "-m", "idtone.core.hardware_tokens"]
WITHIN_S: Final = 1.0
"""Time limit for a signature, in seconds. A slow token takes about 0.1 s."""
START_WITHIN_S: Final = 10.0
"""Time limit in seconds for the first signature, which must start the process and open the token."""
HUNG_S: Final = 30.0
"""Time in seconds without an answer after which the process is killed."""
AGAIN_AFTER_S: Final = 5.0
_ANSWER_LIMIT: Final = 4096


@dataclass
class TokenProcess:
    """The process that signs with a key in a hardware token.

    The process starts when the first signature is requested. Thread-safe.
    """

    library: Path
    name: str
    """The key in the token, as `hardware_tokens.TokenKeyName` reads it."""
    pin: Callable[[], str] = field(repr=False)
    """The PIN. Raises DocumentError if its file cannot be read."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._public = b""
        self._pending: Future[bytes] | None = None
        self._away: TokenError | None = None
        self._again_s = 0.0

    def public(self) -> bytes:
        """Read the key's public half from the token.

        Raises TokenAwayError if the token is not available.
        """
        self._signed(None)
        return self._public

    def sign(self, octets: bytes) -> bytes:
        """Sign with the key in the token.

        Raises TokenAwayError immediately if the token is known to be unavailable, and otherwise if there is no answer
        within `WITHIN_S`, or within `START_WITHIN_S` if the process has to start.
        """
        return self._signed(octets)

    def close(self) -> None:
        """End the signing process. The next signature starts a new one."""
        with self._lock:
            # A starting process keeps the ledger's lock until it has become another program.
            until_s = time.monotonic() + WITHIN_S
            while self._pending and not self._pending.done() and time.monotonic() < until_s:
                if process := self._process:
                    process.kill()  # the thread that waits for its answer sees its end
                wait([self._pending], 0.01)
            if not self._pending or self._pending.done():
                self._end()

    def _signed(self, octets: bytes | None) -> bytes:
        with self._lock:
            try:
                return self._tried(octets)
            except TokenError as error:
                text = Message("{error}; `idtone doctor` says what to do", error=error)
                raise TokenAwayError(text, error.is_absent) from error

    def _tried(self, octets: bytes | None) -> bytes:
        if self._pending:
            if not self._pending.done():
                raise self._away or TokenError("")
            pending, self._pending = self._pending, None
            try:
                pending.result()
            except TokenError as error:
                raise self._failed(error) from error
            self._away = None
        if self._away:
            if self._away.is_final or time.monotonic() < self._again_s:
                raise self._away
            self._pending = self._begun(octets)
            raise self._away
        within_s = WITHIN_S if self._process else START_WITHIN_S
        pending = self._begun(octets)
        try:
            return pending.result(within_s)
        except TimeoutError:
            self._pending = pending
            raise self._failed(TokenError(self._slow(within_s))) from None
        except TokenError as error:
            raise self._failed(error) from error

    def _begun(self, octets: bytes | None) -> Future[bytes]:
        return in_daemon(lambda: self._asked(octets), "idtone-token")

    def _failed(self, error: TokenError) -> TokenError:
        self._away, self._again_s = error, time.monotonic() + AGAIN_AFTER_S
        return error

    def _slow(self, within_s: float) -> Message:
        return Message("{name}: the token has not answered within {seconds:g} s", name=self.name, seconds=within_s)

    # -- one at a time, in a thread beside --------------------------------------------------------------------------

    def _asked(self, octets: bytes | None) -> bytes:
        """Send octets to the process and return its answer.

        Raises TokenError.
        """
        try:
            process = self._process or self._started()
            if octets is None:
                return b""
            assert process.stdin
            process.stdin.write(octets.hex().encode() + b"\n")
            process.stdin.flush()
            return self._answer(process, b"signed")
        except (OSError, ValueError, DocumentError) as error:
            self._end()
            raise TokenError(fault_of(self.name, error)) from error
        except TokenError:
            self._end()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        asked = {"library": str(self.library), "key": self.name, "pin": self.pin()}
        process = subprocess.Popen(  # noqa: S603 - our own program
            PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._process, self._ending = process, weakref.finalize(self, _end, process)
        assert process.stdin
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.flush()
        self._public = self._answer(process, b"key")
        return process

    def _answer(self, process: subprocess.Popen[bytes], wanted: bytes) -> bytes:
        assert process.stdout
        line = _line_of(process.stdout, HUNG_S)
        word, _, rest = line.partition(b" ")
        if word == wanted:
            return bytes.fromhex(rest.decode())
        if word == b"error":
            raise TokenError(*json.loads(rest))
        if line:
            raise TokenError(self._slow(HUNG_S))
        raise TokenError(Message("{name}: the token's library has ended the process", name=self.name))

    def _end(self) -> None:
        if self._process:
            self._process = None
            self._ending()


def _line_of(stream: IO[bytes], within_s: float) -> bytes:
    """Read a line without its newline.

    The result is empty at the end of the stream and `…` if no line arrived in time.
    """
    line, until_s = b"", time.monotonic() + within_s
    waiting = select.poll()
    waiting.register(stream, select.POLLIN)
    while not line.endswith(b"\n"):
        if not waiting.poll(1000 * max(0.0, until_s - time.monotonic())):
            return "…".encode()
        read = os.read(stream.fileno(), _ANSWER_LIMIT)
        if not read:
            return b""
        line += read
    return line[:-1]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            try:
                stream.close()
            except OSError:
                pass  # unsent data is not needed


class TokenSigner:
    """Signs notes under one name with a key in a hardware token.

    The interface is the same as that of `signed_notes.Signer`, except that signing can fail. `public` is the public key
    that the token must have. Raises ProofError if the name cannot be used in signatures.
    """

    def __init__(self, name: str, public: bytes, process: TokenProcess) -> None:
        """`public` is the public key that the token must have. Raises ProofError if the name cannot be used in
        signatures.
        """
        self.key = VerifierKey(name, Algorithm.ED25519, public)
        self._process = process

    def named(self, name: str) -> TokenSigner:
        """Return a signer that uses the same key under another name.

        Raises ProofError if the name cannot be used in signatures.
        """
        return TokenSigner(name, self.key.public, self._process)

    def sign(self, text: str) -> SignatureLine:
        """Sign a text with the key in the token.

        Raises TokenAwayError if the token is unavailable or has another key.
        """
        signature = self._process.sign(text.encode())
        if not self.key.verifies(text, signature):
            raise TokenAwayError(
                Message(
                    "{name}: the key in the token is another one than that of the log {log}; put the right token in "
                    "its place, or replace the key (idtone-evidence log replace-key)",
                    name=self._process.name,
                    log=self.key.name,
                ),
                is_absent=True,
            )
        return SignatureLine(self.key.name, self.key.key_id, signature)

    def close(self) -> None:
        self._process.close()
