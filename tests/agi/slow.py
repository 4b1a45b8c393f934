"""Slow sockets, as a program: `python -m tests.agi.slow PORT COUNT`.

Keeps COUNT connections to 127.0.0.1:PORT of which every other one sends an octet of an environment each second and the
rest nothing. One that is closed is opened again about ten seconds later. Prints `ready` when it has opened all,
and with SIGTERM how many connections it has opened in total.
"""

from __future__ import annotations

import asyncio
import random
import resource
import signal
import sys

from .fake_asterisk import presented


def allow_open_files(count: int) -> None:
    """Raise the soft limit if it is lower. Raises ValueError if the hard limit does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


async def main(port: int, count: int) -> None:
    environment, opened = presented()[:-1], 0
    all_opened, stopped = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    async def keep(number: int) -> None:
        nonlocal opened
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                opened += 1
                if opened == count:
                    all_opened.set()
                for octet in environment if number % 2 else b"":
                    if reader.at_eof():
                        break
                    writer.write(bytes([octet]))
                    await asyncio.sleep(random.uniform(0.5, 1.5))
                await reader.read()
                writer.close()
            except OSError:
                pass
            await asyncio.sleep(random.uniform(1, 20))

    async with asyncio.TaskGroup() as tasks:
        kept = [tasks.create_task(keep(number)) for number in range(count)]
        await all_opened.wait()
        print("ready", flush=True)
        await stopped.wait()
        for each in kept:
            each.cancel()
    print(opened, flush=True)


if __name__ == "__main__":
    allow_open_files(int(sys.argv[2]) + 64)
    asyncio.run(main(*map(int, sys.argv[1:3])))
