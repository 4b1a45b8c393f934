"""Legal bases for disclosures, with the facts to record and the requirements for each basis.

The requirements are data, in `config/legal_bases.yaml` or the file that `ledger.legal_bases` names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from idtone.core.errors import UsageError
from idtone.core.japan_time import JAPAN
from idtone.core.numbers import holds_number
from idtone.core.text_cleaning import forbidden_character
from idtone.core.translation import Message, template
from idtone.core.yaml_documents import Model, load, parse

from ..evidence.steps import Scalar

TEXT_LIMIT: Final = 300
"""Maximum number of characters in each text."""
FILE: Final = "legal_bases.yaml"
_SIZE_LIMIT: Final = 2**20


class BasisFact(StrEnum):
    """A fact that a legal basis may require about a demand for evidence.

    The value is the fact's name in the ledger and in an evidence pack.
    """

    AUTHORITY = "authority"
    REFERENCE = "reference"
    SCOPE = "scope"
    RECEIVED = "received"
    DEADLINE = "deadline"
    COURT = "court"
    VALID_UNTIL = "valid_until"
    WHY = "why"


def _word(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", text):
        raise ValueError(Message("is not a word"), Message("Write lower-case letters, digits and '-', like inquiry"))
    return text


class BasisRule(Model):
    """The requirements for one legal basis.

    `confirm` is the time allowed for a written confirmation, starting when the demand was received.
    """

    ja: Annotated[str, Field(min_length=1, max_length=120)]
    en: Annotated[str, Field(min_length=1, max_length=160)]
    needs: tuple[BasisFact, ...]
    numbers: Literal["sealed", "opened"]
    confirm: Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=365))] | None = None

    @property
    def law(self) -> str:
        """Name of the legal basis in both languages, as the ledger records it."""
        return f"{self.ja} / {self.en}"


class LegalBases(Model):
    """The requirements for all legal bases, by `--basis` value."""

    bases: Annotated[dict[Annotated[str, AfterValidator(_word)], BasisRule], Field(min_length=1)]


def load_legal_bases(path: Path | None) -> LegalBases:
    """Load the requirements for the legal bases.

    If `path` is None, the requirements shipped with idtone are loaded. Raises DocumentError.
    """
    if path is not None:
        return load(path, LegalBases, size_limit=_SIZE_LIMIT)
    return parse((resources.files("idtone.config") / FILE).read_text("utf-8"), FILE, LegalBases)


@dataclass(frozen=True, slots=True)
class LegalBasis:
    """The legal basis of one disclosure, as recorded in the ledger and in the evidence pack.

    `basis` is the value of `--basis`. `law` is what the basis was called, in both languages, at the time of the act.
    `received` is a time. `deadline`, `valid_until` and `confirm_by` are days in Japan, each of which is included in
    full.
    """

    basis: str
    law: str = ""
    authority: str | None = None
    reference: str | None = None
    scope: str | None = None
    received: datetime | None = None
    deadline: date | None = None
    court: str | None = None
    valid_until: date | None = None
    why: str | None = None
    confirm_by: date | None = None

    def details(self) -> dict[str, Scalar]:
        """Known facts about the legal basis as text, for a step and a manifest."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: value if isinstance(value, str) else value.isoformat()
            for name, value in given.items()
            if value is not None
        }

    @classmethod
    def of(cls, details: Mapping[str, object]) -> LegalBasis | None:
        """Parse a legal basis from the details of a step; None if the step has none.

        Raises ValueError if a detail does not have the form that `details` writes.
        """
        if "basis" not in details:
            return None
        given: dict[str, object] = {}
        for name in BASIS_DETAILS & details.keys():
            text = details[name]
            if not isinstance(text, str) or not can_be_recorded(text):
                raise ValueError(f"{name} is no text")
            given[name] = _READ[name](text) if name in _READ else text
        found = cls(**given)  # type: ignore[arg-type]
        if found.received and found.received.utcoffset() is None:
            raise ValueError("received has no time zone")
        if any(found.details()[name] != details[name] for name in given):
            raise ValueError("a time of another form")
        return found


_NAMES: Final = {
    "law": template("legal basis"),
    "authority": template("authority"),
    "reference": template("reference"),
    "scope": template("scope"),
    "received": template("received"),
    "deadline": template("deadline"),
    "court": template("court"),
    "valid_until": template("valid until"),
    "why": template("why at once"),
    "confirm_by": template("confirm by"),
}


def basis_lines(basis: LegalBasis | None) -> dict[str, str]:
    """Lines that describe a legal basis in a terminal, as the name and value of each fact."""
    if basis is None:
        return {template("legal basis"): Message("not recorded")}
    return {_NAMES[name]: str(text) for name, text in basis.details().items() if name != "basis"}


BASIS_DETAILS: Final = frozenset(each.name for each in fields(LegalBasis))
"""Names of the step details that describe its legal basis."""
_TEXTS: Final = ("authority", "reference", "scope", "court", "why")
_READ: Final = {
    "received": datetime.fromisoformat,
    **dict.fromkeys(("deadline", "valid_until", "confirm_by"), date.fromisoformat),
}


def can_be_recorded(text: str) -> bool:
    """True if a text's length and characters allow it to be recorded permanently."""
    return text.isprintable() and bool(text.strip()) and len(text) <= TEXT_LIMIT


def text_objection(name: str, text: str | None) -> Message | None:
    """Reason why a text must not be recorded permanently; None if it may be.

    `name` is the command-line option that supplied the text.
    """
    if text is not None and (character := forbidden_character(text)):
        return Message(
            "--{name} needs 1 to {limit} printable characters; {character} is not printable",
            name=name,
            limit=TEXT_LIMIT,
            character=character,
        )
    if text is not None and not can_be_recorded(text):
        return Message("--{name} needs 1 to {limit} printable characters", name=name, limit=TEXT_LIMIT)
    if text is not None and holds_number(text):
        return Message(
            "--{name} holds what may be a telephone number, and it would stay in the ledger for ever; describe it in "
            "words, as in 'the number of the inquiry'",
            name=name,
        )
    return None


def complete_basis(basis: LegalBasis, bases: LegalBases) -> LegalBasis:
    """Complete a legal basis with its name and its confirmation deadline.

    Raises UsageError if the basis is unknown or a text must not be recorded.
    """
    rule = bases.bases.get(basis.basis)
    if rule is None:
        raise UsageError(
            "there is no legal basis {basis!r}; choose {known}", basis=basis.basis, known=", ".join(bases.bases)
        )
    for name in _TEXTS:
        if why := text_objection(_option(name), getattr(basis, name)):
            raise UsageError(why)
    confirm_by = (basis.received + rule.confirm).astimezone(JAPAN).date() if basis.received and rule.confirm else None
    return replace(basis, law=rule.law, confirm_by=confirm_by)


def basis_objection(basis: LegalBasis | None, sealed: bool, bases: LegalBases, now: datetime) -> str | None:
    """Reason why a legal basis does not allow the disclosure of evidence; None if it does.

    `sealed` means that the telephone numbers stay sealed.
    """
    if basis is None:
        return Message("it names no legal basis; give --basis, and what it needs")
    rule = bases.bases.get(basis.basis)
    for name in _TEXTS:
        if why := text_objection(_option(name), getattr(basis, name)):
            return why
    if rule is None or complete_basis(basis, bases) != basis:
        return Message("its legal basis {basis!r} is not as in ledger.legal_bases", basis=basis.basis)
    missing = [f"--{_option(fact)}" for fact in rule.needs if getattr(basis, fact) is None]
    if missing:
        return Message("the legal basis {basis} needs {missing}; add it", basis=basis.basis, missing=", ".join(missing))
    if basis.received and basis.received > now:
        return Message("it was received in the future; correct --received")
    if basis.valid_until and basis.valid_until < now.astimezone(JAPAN).date():
        return Message("the warrant was valid until {day} only; ask for a new one", day=basis.valid_until)
    if rule.numbers == "sealed" and not sealed:
        return Message(
            "the legal basis {basis} does not open telephone numbers (ledger.legal_bases); add --sealed",
            basis=basis.basis,
        )
    return None


def _option(name: str) -> str:
    return name.replace("_", "-")
