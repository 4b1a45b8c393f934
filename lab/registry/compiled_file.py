"""The file of a compiled registry."""

from idtone.registry.compiled_registry import Compiled, pack_parts


def octets_of(ready: Compiled) -> bytes:
    """The octets of this compiled registry's file."""
    return b"".join(pack_parts(ready))
