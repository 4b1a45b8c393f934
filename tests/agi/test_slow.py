"""Five thousand slow sockets do not keep Asterisk waiting."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.sharedctypes import Synchronized

import pytest

from idtone.agi.environment import AgiRequest
from idtone.agi.server import FastAgiServer
from lab.agi.fake_asterisk import connect_as_asterisk, encode_agi_fields
from lab.lab import wait_until

SLOW = 5000
REQUESTS, REQUESTS_PER_S = 100, 40
ROUNDS = 3
"""Number of rounds. There are several, because other programs slow some of them down."""
ALLOWED_P99_MS = 50


def allow_open_files() -> None:
    """Raise the soft limit of open files if it is too low. Raises ValueError if the hard limit is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, SLOW + 256), hard))


def keep_slow_sockets(port: int, opened: Synchronized[int]) -> None:
    """Keep sockets open. Half of them send an octet of an environment each second; the others send nothing. A socket
    that was closed is opened again about ten seconds later.
    """
    allow_open_files()

    async def keep(number: int) -> None:
        while True:
            with suppress(OSError):  # the server closed it without reading what was sent
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                opened.value += 1
                for octet in encode_agi_fields()[:-1] if number % 2 else b"":
                    if not reader.at_eof():
                        writer.write(bytes([octet]))
                        await asyncio.sleep(random.uniform(0.5, 1.5))
                await reader.read()
                writer.close()
            await asyncio.sleep(random.uniform(1, 20))

    async def keep_all() -> None:
        await asyncio.gather(*map(keep, range(SLOW)))

    asyncio.run(keep_all())


@contextmanager
def slow_sockets(port: int) -> Iterator[Synchronized[int]]:
    """Context with slow sockets; yields how many have been opened in total."""
    context = multiprocessing.get_context("spawn")
    opened = context.Value("i", 0)
    program = context.Process(target=keep_slow_sockets, args=(port, opened))
    program.start()
    try:
        yield opened
    finally:
        program.terminate()
        program.join()


async def answer(_: AgiRequest) -> Mapping[str, str]:
    return {"IDTONE_OUTCOME": "PLAY", "IDTONE_NONCE": "n-1"}


async def verdict_ms(address: tuple[str, int]) -> float:
    """Milliseconds from the first packet of the connection to its end."""
    started_s = time.perf_counter()
    async with connect_as_asterisk(address, encode_agi_fields()) as asterisk:
        await asterisk.serve()
    assert len(asterisk.variables) == 2
    return 1000 * (time.perf_counter() - started_s)


async def p99_ms(address: tuple[str, int]) -> float:
    """The 99th percentile in milliseconds of a round of requests. They do not wait for each other's answers."""
    asking = []
    for _ in range(REQUESTS):
        asking.append(asyncio.create_task(verdict_ms(address)))
        await asyncio.sleep(1 / REQUESTS_PER_S)
    return sorted(await asyncio.gather(*asking))[-2]


@pytest.mark.nightly
@pytest.mark.alone
async def test_slow_sockets_do_not_delay_a_verdict(caplog):
    try:
        allow_open_files()
    except ValueError:
        pytest.skip(f"the hard limit of open files does not allow {SLOW} connections; raise it with ulimit -Hn")
    async with FastAgiServer(answer).listening(("127.0.0.1", 0)) as address:
        with slow_sockets(address[1]) as opened:
            await wait_until(lambda: opened.value >= SLOW, "all slow sockets to be open", 60)
            measured_ms = [await p99_ms(address)]
            while measured_ms[-1] > ALLOWED_P99_MS and len(measured_ms) < ROUNDS:
                measured_ms.append(await p99_ms(address))
    assert min(measured_ms) <= ALLOWED_P99_MS, measured_ms
    assert opened.value > SLOW, "the closed ones must connect again"
    assert len(caplog.messages) < 50, "the log must have few lines"
