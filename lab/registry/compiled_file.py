"""The file of a compiled registry."""

from idtone.registry.compiled_registry import Compiled, pack_parts


def octets_of(ready: Compiled) -> bytes:
    """Octets of the file of this compiled registry."""
    return b"".join(pack_parts(ready))
