"""Reads a customer's identity from a file or from typed answers.

No command option accepts an identity, because the shell history would store it.
"""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from idtone.core.terminal.prompts import ask_confirmation
from idtone.core.translation import Message, translated
from idtone.core.yaml_documents import read_text

from ..refused.customer_identity import CustomerIdentity, IdentityKind, parse_customer

IdentityArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="The customer as in config/refused_customer.yaml, or an application form (default: asked for).",
    ),
]
_TYPED: Final = "customer"
_QUESTIONS: Final = {
    IdentityKind.PERSON: {
        "name": Message("Name, as in the identity document"),
        "kana": Message("Reading in kana"),
        "latin": Message("Name in Latin letters"),
        "born": Message("Date of birth, like 1980-04-01"),
        "address": Message("Address"),
    },
    IdentityKind.COMPANY: {
        "name": Message("Name, as in the register"),
        "kana": Message("Reading in kana"),
        "latin": Message("Name in Latin letters"),
        "corporate_number": Message("Corporate number (13 digits)"),
        "address": Message("Address"),
    },
}


def read_identity(file: Path | None) -> CustomerIdentity:
    """Read the customer's identity from a file, standard input, or answers to questions.

    Raises DocumentError with all faults.
    """
    if file is not None:
        return parse_customer(read_text(file), str(file))
    if not sys.stdin.isatty():
        return parse_customer(sys.stdin.read(), _TYPED)
    kind = IdentityKind.COMPANY if _confirmed() else IdentityKind.PERSON
    answers = {field: _asked(question) for field, question in _QUESTIONS[kind].items()}
    content = {"kind": str(kind), **{field: answer for field, answer in answers.items() if answer}}
    return parse_customer(yaml.safe_dump({"customer": content}, allow_unicode=True), _TYPED)


def _confirmed() -> bool:
    return ask_confirmation(Message("Is the customer a company?"))


def _asked(question: Message) -> str:
    return str(typer.prompt(translated(question), default="", show_default=False, err=True)).strip()
