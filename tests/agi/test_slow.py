"""Five thousand slow sockets do not keep Asterisk waiting."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from idtone.agi.environment import AgiRequest
from idtone.agi.server import FastAgiServer

from .fake_asterisk import calling, presented
from .slow import allow_open_files

SLOW = 5000
REQUESTS_PER_S = 40
MEASURED_S = 2.5
ROUNDS = 3
"""Several rounds, because other programs of the machine slow some rounds down."""
ALLOWED_P99_MS = 50


async def answer(_: AgiRequest) -> Mapping[str, str]:
    return {"IDTONE_OUTCOME": "PLAY", "IDTONE_NONCE": "n-1"}


async def verdict_ms(address: tuple[str, int]) -> float:
    """Milliseconds from the first packet of the connection to its end."""
    started_s = time.perf_counter()
    async with calling(address, presented()) as asterisk:
        await asterisk.serve()
    assert len(asterisk.variables) == 2
    return 1000 * (time.perf_counter() - started_s)


async def p99_ms(address: tuple[str, int]) -> float:
    """The 99th percentile of a round of requests, which do not wait for the previous answer."""
    asking = []
    for _ in range(round(REQUESTS_PER_S * MEASURED_S)):
        asking.append(asyncio.create_task(verdict_ms(address)))
        await asyncio.sleep(1 / REQUESTS_PER_S)
    took_ms = sorted(await asyncio.gather(*asking))
    print(f"beside {SLOW} slow sockets: p50 {took_ms[len(took_ms) // 2]:.1f} ms, p99 {took_ms[-2]:.1f} ms")
    return took_ms[-2]


@asynccontextmanager
async def slow_sockets(port: int) -> AsyncIterator[list[int]]:
    """Run the slow sockets inside the context; afterwards the list holds the total number of connections."""
    opened: list[int] = []
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.agi.slow", str(port), str(SLOW),
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert program.stdout
        assert await program.stdout.readline() == b"ready\n"
        yield opened
        program.terminate()
        opened.append(int(await program.stdout.readline()))
    finally:
        if program.returncode is None:
            program.kill()
        await program.wait()


@pytest.mark.alone
async def test_slow_sockets_do_not_delay_a_verdict(caplog):
    try:
        allow_open_files(SLOW + 256)
    except ValueError:
        pytest.skip(f"the hard limit of open files does not allow {SLOW} connections; raise it with ulimit -Hn")
    async with FastAgiServer(answer).listening(("127.0.0.1", 0)) as address, slow_sockets(address[1]) as opened:
        measured_ms = [await p99_ms(address)]
        while measured_ms[-1] > ALLOWED_P99_MS and len(measured_ms) < ROUNDS:
            measured_ms.append(await p99_ms(address))
    assert min(measured_ms) <= ALLOWED_P99_MS
    assert opened[0] > SLOW + REQUESTS_PER_S * MEASURED_S, "the closed ones must connect again"
    assert len(caplog.messages) < 50, "the log must have few lines"
