"""A stand-in for `python -m idtone.core.hardware_tokens`, with a key that behaves as a file prescribes.

The command line names this file. At each start, the program writes a line into another file beside it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

mode = Path(sys.argv[1])
with mode.with_suffix(".starts").open("a") as starts:
    print(sys.stdin.readline().strip(), file=starts)
key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sys.argv[2]))


def behave() -> None:
    word = mode.read_text()
    if word in ("error", "refused"):
        print("error", json.dumps([f"the token says {word}", word == "refused"]), flush=True)
    if word != "good":
        while mode.read_text() == "hang":
            time.sleep(0.01)
        sys.exit()


behave()
print("key", key.public_key().public_bytes_raw().hex(), flush=True)
while line := sys.stdin.readline():
    behave()
    print("signed", key.sign(bytes.fromhex(line)).hex(), flush=True)
