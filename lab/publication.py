"""The lab's registry in an association's publication, signed with keys created for this run."""

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LAB_REGISTRY: Final = Path(__file__).with_name("registry.yaml")
MEMBER: Final = "m-0001"
"""Member to which the lab's nodes belong."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication, as the settings on a member's machine name it."""

    source: Path
    root: Path
    """The association's root of trust."""


@functools.cache
def publication(registry: Path) -> Publication:
    """Publish and sign the registry in this file. The publication is kept until this process ends."""
    # Imported here because most of the lab needs no association.
    from lab.registry.trust.association import Association

    folder = Path(tempfile.mkdtemp(prefix="idtone-association-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    association = Association(folder / "association")
    text, _, suspensions = registry.read_text().partition("\nsuspensions:")
    association.write(text, f"issued: 2026-11-01T00:00:00+09:00\nsuspensions:{suspensions}")
    association.begin()
    return Publication(association.repository, association.root())
