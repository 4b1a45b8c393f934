"""The lab's registry as an association publishes it: signed, with keys that are made for the run."""

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LAB_REGISTRY: Final = Path(__file__).with_name("registry.yaml")
MEMBER: Final = "m-0001"
"""The member of the lab's nodes."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What a member's machine reads."""

    source: Path
    root: Path
    """The association's root of trust."""


@functools.cache
def publication(registry: Path) -> Publication:
    """The registry in this file, published and signed now. It stays until this process ends."""
    # Here, because most of the lab needs no association.
    from lab.registry.trust.association import Association

    folder = Path(tempfile.mkdtemp(prefix="idtone-association-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    association = Association(folder / "association")
    text, _, suspensions = registry.read_text().partition("\nsuspensions:")
    association.write(text, f"issued: 2026-11-01T00:00:00+09:00\nsuspensions:{suspensions}")
    association.begin()
    return Publication(association.repository, association.root())
