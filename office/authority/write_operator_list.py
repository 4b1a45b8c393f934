"""Writes a folder for the association's website, with the public list of operators and its signed proof.

`idtone.registry.trust.licensed_operators` defines the file names and verifies the files.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from idtone.core.errors import UsageError
from idtone.core.files import make_public_folder, replace_durably, writing_into
from idtone.member.evaluation.evaluation_verification import FOLDER as EVALUATIONS
from idtone.registry.trust import tuf_roles
from idtone.registry.trust.licensed_operators import PAGE, PROOF

from . import operator_list


def write_operator_list(
    folder: Path,
    listed: bytes,
    proof: dict[str, bytes],
    evaluations: Iterable[tuple[str, bytes]],
    stopped: Collection[str],
) -> None:
    """Write the public list of operators for the website as JSON and as a page. Raises UsageError.

    `listed` is the signed `operators.json`. `proof` holds the signed metadata by file name. `evaluations` holds
    criteria, results, badges and marks with their file names. Members in `stopped` are left out of the page and the
    list. SVG pictures from earlier runs that are not in `evaluations` are deleted.
    """
    shown = operator_list.without_stopped(listed, stopped)
    with writing_into(folder, UsageError):
        make_public_folder(folder / PROOF)
        make_public_folder(folder / EVALUATIONS)
        named = set()
        for name, octets in evaluations:
            path = folder / EVALUATIONS / name
            named.add(path)
            make_public_folder(path.parent)
            if not path.exists() or path.read_bytes() != octets:
                replace_durably(path, octets)
        for name, octets in (proof | {tuf_roles.OPERATORS_FILE: listed}).items():
            replace_durably(folder / PROOF / name, octets)
        replace_durably(folder / tuf_roles.OPERATORS_FILE, shown)
        replace_durably(folder / PAGE, operator_list.operator_list_page(shown))
        for path in {*(folder / EVALUATIONS).rglob("*.svg")} - named:
            path.unlink()
