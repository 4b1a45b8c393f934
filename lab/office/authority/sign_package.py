"""Signs a prepared package of changes, also after someone has changed the package."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata

from lab.office.authority.office import Office


def sign(office: Office, package: Path, *names: str) -> tuple[int, str]:
    code, _, error = office.run("publication sign", package, *office.keys(*names), "--trust", office.root, "--yes")
    return code, " ".join(error.split())


def change_package(name: str, change: Callable[[Any], object], package: Path, part: str = "after") -> None:
    path = package / part / "metadata" / f"{name}.json"
    metadata = Metadata[Any].from_file(str(path))
    change(metadata.signed)
    path.write_bytes(metadata.to_bytes())
