"""The Asterisk of the tests, and the features of its version.

    python -m lab.chosen_asterisk     prints the tests of calls to run on it

It prints the version, and the modules of the lab that this Asterisk lacks, on standard error. The environment variables
`ASTERISK` and `ASTERISK_SUITE` select another Asterisk.
"""

import functools
import sys
from typing import Final

from idtone.ari_app.asterisk_version import AsteriskVersion

from .asterisk import MODULES
from .asterisk_installation import AsteriskInstallation, AsteriskMissing, find_or_get

CALLS: Final = ("tests/calls", "tests/dialplan", "tests/ari_app/test_contract.py", "tests/agi/test_contract.py")
"""Tests that a supported version of Asterisk must pass."""
REFUSED: Final = ("lab/operations/old_asterisk.py",)
"""Tests for a version that idtone refuses."""


@functools.cache
def chosen_asterisk() -> AsteriskInstallation:
    """The Asterisk of this run, even if idtone refuses its version. Raises AsteriskMissing."""
    return find_or_get(oldest=0)


@functools.cache
def transports() -> tuple[str, ...]:
    """Values of `ari.transport` that this Asterisk supports."""
    over_websocket = AsteriskVersion.read(chosen_asterisk().version).takes_requests_over_websocket
    return ("websocket", "http") if over_websocket else ("http",)


def main() -> int:
    try:
        found = chosen_asterisk()
    except AsteriskMissing as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    print(f"lab: Asterisk {found.version}: {found.origin}", file=sys.stderr)
    if missing := found.without(MODULES):
        print(f"lab: modules that it does not have: {', '.join(missing)}", file=sys.stderr)
    print(*(CALLS if found.is_supported else REFUSED))
    return 0


if __name__ == "__main__":
    sys.exit(main())
