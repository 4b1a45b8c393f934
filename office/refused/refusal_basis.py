"""The legal basis on which members learn of refused contractors, as decided by the association.

The file `refusal-basis.json` contains the decision, its day and document, and the body responsible for the data.
Without this file, there is no list of refusals.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import read_if_there, writing
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import template

from ..authority import group_shared_files
from ..authority.typed_dates import in_japan, parse_day
from ..authority.workspace import Workspace
from ..desk.office_ledger import OfficeLedger

FILE: Final = "refusal-basis.json"
DECIDED: Final = "refusal-basis-decided"


class Basis(StrEnum):
    """Legal bases in article 27 of the Act on the Protection of Personal Information.

    A lawyer checks which one applies.
    """

    JOINT_USE = "joint-use"
    CONSENT = "consent"


BASIS_WORDS: Final = {
    Basis.JOINT_USE: template("joint use (共同利用), article 27 (5) no. 3"),
    Basis.CONSENT: template("provision to third parties with the contractor's consent, article 27 (1)"),
}
FIELDS: Final = {
    "purpose": template("Purpose of the list"),
    "responsible": template("Body that answers for the data"),
    "minutes": template("Minutes of the decision"),
    "opinion": template("Opinion on the antitrust law (独占禁止法)"),
}


@dataclass(frozen=True, slots=True)
class RefusalBasis:
    basis: Basis
    decided: str
    """Day of the decision, in Japan."""
    purpose: str
    responsible: str
    minutes: str
    opinion: str


def read_basis(folder: Path) -> RefusalBasis | None:
    """Read the association's decision, or return None if there is none yet.

    Raises TrustError if the file is damaged.
    """
    path = folder / FILE
    octets = read_if_there(path, TrustError)
    if octets is None:
        return None
    try:
        found = json.loads(octets)
        return RefusalBasis(**{**found, "basis": Basis(found["basis"])})
    except (ValueError, KeyError, TypeError) as error:
        raise TrustError("{path}: is damaged; restore it from a backup", path=path) from error


def record_basis(
    folder: Path, basis: str, decided: str, fields: Mapping[str, str], now: datetime, name: Callable[[str], str]
) -> RefusalBasis:
    """Record the association's decision, replacing any older one. The office's ledger keeps all decisions.

    `name` maps a field to the name shown in error messages. Raises IdtoneError.
    """
    chosen = next((each for each in Basis if each == basis), None)
    if chosen is None:
        raise UsageError("choose the legal basis")
    at = parse_day(decided, name("decided"))
    if at > in_japan(now).date():
        raise UsageError("{option} is in the future; write the day of the decision", option=name("decided"))
    made = RefusalBasis(chosen, at.isoformat(), **{key: checked_line(fields.get(key, ""), name(key)) for key in FIELDS})
    with Workspace(folder).locked():
        OfficeLedger(folder).record(
            DECIDED, chosen, decided=made.decided, **{key: getattr(made, key) for key in FIELDS}
        )
        with writing(folder / FILE, TrustError):
            group_shared_files.write(
                folder / FILE, json.dumps(asdict(made), ensure_ascii=False, indent=1).encode() + b"\n"
            )
    return made


def check_basis_decided(folder: Path) -> None:
    """Check that the association has decided on a legal basis. Raises UsageError if not."""
    if read_basis(folder) is None:
        raise UsageError(
            "the association has not decided on which legal basis members learn of refused contractors; record the "
            "decision with `idtone-office refusal decide-basis`, or on the page of refused contractors"
        )
