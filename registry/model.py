"""The registry file as typed data; what each field means stands in `config/registry.yaml`."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from idtone.calls import Direction, LicenceStatus
from idtone.documents import Model


def _identifier(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ValueError("is not an identifier. Use up to 64 letters, digits, '.', '_' and '-'")
    return value


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("is not a SHA-256. Write its 64 hexadecimal digits in lower case")
    return value


def _said(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("is empty or not one line. Write a short text")
    return value


Identifier = Annotated[str, AfterValidator(_identifier)]
Text = Annotated[str, AfterValidator(_said)]


class Head(Model):
    association: Text
    version: Annotated[int, Field(ge=1)]
    issued: AwareDatetime
    expires: AwareDatetime


class ToneEntry(Model):
    """A sound that can be licensed; `sha256` is that of the master recording."""

    id: Identifier
    title: Text
    sha256: Annotated[str, AfterValidator(_sha256)] | None = None


class Names(Model):
    ja: Text
    en: Text


class Pledge(Model):
    """誓約."""

    signed: date


class Validity(Model):
    """From `from` on, up to but not at `until`."""

    from_: AwareDatetime = Field(alias="from")
    until: AwareDatetime


class LicenceEntry(Model):
    id: Identifier
    tone: Identifier
    status: LicenceStatus
    valid: Validity
    directions: Annotated[tuple[Direction, ...], Field(min_length=1)]


class MemberEntry(Model):
    id: Identifier
    name: Names
    pledge: Pledge
    licences: tuple[LicenceEntry, ...] = ()
    numbers: tuple[str, ...] = ()


class SuspensionEntry(Model):
    """番号停止."""

    number: str
    since: AwareDatetime
    reference: Text


class RegistryFile(Model):
    registry: Head
    tones: tuple[ToneEntry, ...] = ()
    members: tuple[MemberEntry, ...] = ()
    suspensions: tuple[SuspensionEntry, ...] = ()
