"""Compiles the table of customer lines in a separate process.

A large table or a hanging database therefore never delays a call.

    python -m idtone.registry.customer_lines.line_compiler       the source as JSON on standard input

Standard output contains the compiled table (exit 0), the faults as JSON (exit 1), or nothing if the table is unchanged
(exit 3).
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Final

from idtone.core.errors import DocumentError, Fault
from idtone.core.translation import Message

WITHIN_S: Final = 300.0
FAULTS, UNCHANGED = 1, 3


def compile_in_process(source: str, query: str | None, password: str | None, known: str) -> bytes | None:
    """Compile the table of lines in another process. Raises DocumentError.

    Returns None if the source still has the digest `known`; otherwise, bytes from `LinesIndex.pack`.
    """
    asked = json.dumps({"source": source, "query": query, "password": password, "known": known})
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(  # noqa: S603 — our own module
            command, input=asked.encode(), capture_output=True, timeout=WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(type(error).__name__) from error
    if done.returncode == FAULTS:
        raise DocumentError(Fault(**fault) for fault in json.loads(done.stdout))
    if done.returncode == UNCHANGED:
        return None
    if done.returncode:
        raise _failed(done.stderr.decode("utf-8", "replace").strip()[-300:])
    return done.stdout


def compile_here(source: str, query: str | None, password: str | None, known: str) -> bytes | None:
    """Compile the table of lines in this process. Raises DocumentError.

    Returns None if the source still has the digest `known`.
    """
    from .index import compile_lines
    from .read_line_table import read

    found = read(source, query, password)
    return None if found.origin == known else compile_lines(found.entries(), found.origin).pack()


def _failed(reason: str) -> DocumentError:
    return DocumentError(
        [
            Fault(
                "lines.source",
                0,
                0,
                "",
                Message("cannot be read: {reason}", reason=reason),
                Message("Run `idtone lines check`, which says more"),
            )
        ]
    )


def main() -> int:
    asked = json.load(sys.stdin)
    if asked["known"]:  # outgoing calls wait for the first edition only
        os.nice(10)
    try:
        octets = compile_here(**asked)
    except DocumentError as error:
        json.dump([asdict(fault) for fault in error.faults], sys.stdout)
        return FAULTS
    if octets is None:
        return UNCHANGED
    sys.stdout.buffer.write(octets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
