"""Slow sockets, as a program: `python -m tests.agi.slow PORT COUNT`.

Keeps COUNT connections to 127.0.0.1:PORT of which every other one sends an octet of an environment each second and the
rest nothing. One that is closed is opened again about ten seconds later. Prints `ready` when it has opened all,
and with SIGTERM how many connections it has opened in total.
"""

from __future__ import annotations

import random
import resource
import select
import signal
import socket
import sys
import time

from .fake_asterisk import presented

STEPS = 50
"""Each second is divided into so many parts, so that the connections do not all send at once."""


def allow_open_files(count: int) -> None:
    """Raise the soft limit if it is lower. Raises ValueError if the hard limit does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def main() -> None:
    port, count = map(int, sys.argv[1:])
    allow_open_files(count + 64)
    environment = presented()
    sockets: list[socket.socket | None] = [None] * count
    sent = [0] * count
    owners: dict[int, int] = {}
    poll = select.epoll()
    opened = 0
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    def drop(number: int) -> None:
        if (one := sockets[number]) is not None:
            del owners[one.fileno()]
            one.close()
            sockets[number] = None

    signal.signal(signal.SIGTERM, stop)
    step, first_round = 0, True
    while not stopped:
        ends_s = time.monotonic() + 1 / STEPS
        for number in range(step, count, STEPS):
            one = sockets[number]
            if one is None and (first_round or random.random() < 0.1):
                one = sockets[number] = socket.socket()
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
                owners[one.fileno()] = number
                poll.register(one, select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR)
                sent[number] = 0
                opened += 1
            elif one and number % 2 and sent[number] < len(environment) - 1:
                try:
                    one.send(environment[sent[number] : sent[number] + 1])
                    sent[number] += 1
                except OSError:
                    drop(number)
        step = (step + 1) % STEPS
        if step == 0 and first_round:
            print("ready", flush=True)
            first_round = False
        while not stopped and (left_s := ends_s - time.monotonic()) > 0:
            for file, _ in poll.poll(left_s, 256):
                drop(owners[file])
    print(opened, flush=True)


if __name__ == "__main__":
    main()
