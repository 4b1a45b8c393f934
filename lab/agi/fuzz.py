"""Fuzzes the AGI readers with inputs from atheris: `make fuzz SECONDS=60`.

Each environment and each response must be read, or refused with AgiError. A value that was read must be written back
unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import atheris

with atheris.instrument_imports(include=["idtone", "asterisk"]):
    from idtone.agi.codec import AgiCodec
    from idtone.agi.environment import read_fields, read_request, write_fields
    from idtone.core.errors import AgiError

from lab.fuzzing import fuzz

from .fake_asterisk import CALL, encode_agi_fields

_NETWORK, _PROGRAM, _RESPONSE = range(3)
"""Targets, selected by the first octet of an input."""
_RESPONSES: Final = (
    b"200 result=1 (a value)\n",
    b"200 result=0 endpos=8\n",
    b"200 result=-1\n",
    b"200 result=1 (hangup)\n",
    b"510 Invalid or unknown command\n",
    b"511 Command Not Permitted on a dead channel or intercept routine\n",
    b"520-Invalid command syntax.  Proper usage follows:\n",
)


def seeds() -> Iterator[bytes]:
    for arguments in ((), ("c-1", "日本", "", "0312345678")):
        yield bytes([_NETWORK]) + encode_agi_fields("decide", arguments)
    yield bytes([_PROGRAM]) + write_fields(CALL | {"agi_arg_1": b"agi"})
    for response in _RESPONSES:
        yield bytes([_RESPONSE]) + response


def main() -> None:
    codec = AgiCodec()

    def feed(data: bytes) -> None:
        if not data:
            return
        kind, content = data[0] % 3, data[1:]
        try:
            if kind == _RESPONSE:
                codec.response(content)
                return
            if kind == _NETWORK:
                read_request(content)
            assert write_fields(read_fields(content, network=kind == _NETWORK)) == content
        except AgiError:
            return

    fuzz(__doc__, seeds(), feed)


if __name__ == "__main__":
    main()
