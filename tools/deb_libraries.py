"""Moves libraries and programs from the files of the Debian package `idtone` to those of the packages that own them.

Run it with the environment's Python, which has all libraries, pip and idtone: `python tools/deb_libraries.py STAGES`.
STAGES/PACKAGE has the files of a Debian package. debian/rules has installed all of them for the package `idtone`.
"""

import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

from idtone.core.terminal.extras import PACKAGES

NODE: Final = "idtone"
PROGRAMS: Final = {"idtone-office": "idtone-office"}
"""Program → its Debian package. All other programs belong to the node's package."""


def needed_libraries(extras: set[str]) -> set[str]:
    """Names of all libraries that idtone needs with these extras."""
    waiting, seen = [(NODE, frozenset(extras))], set[tuple[str, frozenset[str]]]()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for each in map(Requirement, distribution(name).requires or ()):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in wanted | {""}):
                waiting.append((canonicalize_name(each.name), frozenset(each.extras)))
    return {name for name, _ in seen} - {NODE}


def package_of_libraries() -> dict[str, str]:
    """Library → its Debian package. Libraries that both the sounds and the office need belong to the node's package."""
    extras = {
        package: {extra for extra, named in PACKAGES.items() if named == package} for package in PACKAGES.values()
    }
    by_package = {package: needed_libraries(names) for package, names in extras.items()}
    sounds, office = by_package["idtone-sounds"], by_package["idtone-office"]
    node = by_package[NODE] | sounds & office
    owned = dict.fromkeys(by_package["idtone-console"], "idtone-console")
    return (
        owned
        | dict.fromkeys(office, "idtone-office")
        | dict.fromkeys(sounds, "idtone-sounds")
        | dict.fromkeys(node, NODE)
    )


def move_file(stages: Path, package: str, installed: Path) -> None:
    """Move a file of the package `idtone` to the same location in `package`."""
    place = stages / package / installed.relative_to(stages / NODE)
    place.parent.mkdir(parents=True, exist_ok=True)
    installed.rename(place)


def files(library: Distribution) -> list[Path]:
    """Installed files of a library. Its programs have been deleted and are left out."""
    return [path for each in library.files or () if (path := Path(str(each.locate())).resolve()).is_file()]


def main(stages: Path) -> None:
    for library, package in sorted(package_of_libraries().items()):
        print(f"{package}: {library} {distribution(library).version}")
        if package != NODE:
            for path in files(distribution(library)):
                move_file(stages, package, path)
    for program, package in PROGRAMS.items():
        move_file(stages, package, Path(sys.prefix, "bin", program).resolve())


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
