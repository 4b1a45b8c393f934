"""Keys for a customer's identity, which are texts unaffected by common spelling differences.

The table (`config/customer_identity.yaml`) defines which fields together form a key and how each field is normalized.
Each key is canonical JSON, like `{"born":"1980-04-01","name":"山田太郎"}`. A customer has several keys, so that a
missing or mistyped field does not hide them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from importlib.resources import files
from itertools import permutations, product
from typing import Annotated, Final

import rfc8785
from pydantic import AfterValidator, Field

from idtone.core.errors import TrustError
from idtone.core.translation import Message
from idtone.core.yaml_documents import Model, parse

from .customer_identity import CustomerIdentity, IdentityKind, RepresentativeIdentity

FILE: Final = "customer_identity.yaml"
KEYS_LIMIT: Final = 12
"""Maximum number of keys, which is also the number sent in every check.

Members always send this many, so that the number does not reveal how much they know.
"""


class KeyField(StrEnum):
    NAME = "name"
    READING = "reading"
    BORN = "born"
    ADDRESS = "address"
    CORPORATE_NUMBER = "corporate_number"


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(Message("is not a regular expression"), Message("Correct it: {error}", error=error)) from error
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
Rule = tuple[Pattern, str]
Kinds = Annotated[tuple[tuple[KeyField, ...], ...], Field(min_length=1, max_length=4)]


class KeyKinds(Model):
    person: Kinds
    company: Kinds


class SpellingRules(Model):
    name: tuple[Rule, ...]
    reading: tuple[Rule, ...]
    address: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class IdentityKey:
    """A key. `fields` names its fields, for example `name+born`."""

    fields: str
    octets: bytes


class IdentityTable(Model):
    """Table for creating keys, with kinds of keys and spelling rules."""

    keys: KeyKinds
    characters: dict[str, str]
    legal_forms: tuple[str, ...]
    rules: SpellingRules
    numbers_before: Pattern
    kana: dict[str, str]

    def keys_of(self, identity: CustomerIdentity) -> tuple[IdentityKey, ...]:
        """A customer's keys, including those of a company's representative as a person.

        Raises TrustError if there are no keys or more than `KEYS_LIMIT`.
        """
        is_company = identity.kind is IdentityKind.COMPANY
        found = dict.fromkeys(self._made(identity, self.keys.company if is_company else self.keys.person, is_company))
        if identity.representative:
            found |= dict.fromkeys(self._made(identity.representative, self.keys.person, is_company=False))
        if not found:
            raise TrustError("the table makes no key of this customer; give more fields")
        if len(found) > KEYS_LIMIT:
            raise TrustError("the table makes more than {limit} keys of one customer", limit=KEYS_LIMIT)
        return tuple(found)

    def _made(
        self, one: CustomerIdentity | RepresentativeIdentity, kinds: Sequence[Sequence[KeyField]], is_company: bool
    ) -> Iterator[IdentityKey]:
        values = self._values(one, is_company)
        for fields in kinds:
            for chosen in product(*(values[field] for field in fields)):
                octets = rfc8785.dumps({str(field): value for field, value in zip(fields, chosen, strict=True)})
                yield IdentityKey("+".join(fields), octets)

    def _values(self, one: CustomerIdentity | RepresentativeIdentity, is_company: bool) -> dict[KeyField, list[str]]:
        number = getattr(one, "corporate_number", None)
        born: date | None = one.born
        found = {
            KeyField.NAME: [self.normalised_name(one.name, is_company)],
            KeyField.READING: self.normalised_readings(one.kana, one.latin or one.name, is_company=is_company),
            KeyField.BORN: [born.isoformat()] if born else [],
            KeyField.ADDRESS: [self.normalised_address(one.address)] if one.address else [],
            KeyField.CORPORATE_NUMBER: [number] if number else [],
        }
        return {field: [value for value in values if value] for field, values in found.items()}

    # -- spelling -----------------------------------------------------------------------------------------------------

    def normalised_name(self, text: str, is_company: bool = False) -> str:
        """The normalized name, for example `高橋太郎` for `髙橋 太郎`, or `見本電話` for `㈱見本電話`."""
        spelt = self._plain(text)
        if is_company:
            spelt = self._without_legal_form(spelt)
        return _replaced(_katakana(self._replaced_characters(spelt)), self._rules_of_name)

    def normalised_readings(self, *texts: str | None, is_company: bool = False) -> list[str]:
        """The normalized readings, for example `yamadataro` and `taroyamada` for `ヤマダ タロウ` or `Taro Yamada`.

        The two words of a person's name are used in both orders. Text other than kana and Latin letters has no reading.
        """
        found: dict[str, None] = {}
        for text in filter(None, texts):
            spelt = self._plain(text)
            if is_company:
                spelt = self._without_legal_form(spelt)
            words = [self.to_latin(word) for word in _WORD.findall(spelt)]
            known = [word for word in words if word is not None]
            if len(known) < len(words):
                continue
            orders = permutations(known) if len(known) == 2 and not is_company else [tuple(known)]
            found |= dict.fromkeys(_replaced("".join(order), self._rules_of_reading) for order in orders)
        return list(found)

    def normalised_address(self, text: str) -> str:
        """The normalized address.

        For example, `東京都千代田区丸の内一丁目2番3号 見本ビル405` becomes `千代田区丸ケ内1-2-3`.
        """
        spelt = re.sub(r"\s+", "", self._replaced_characters(self._plain(text)))
        spelt = self._numerals.sub(lambda match: _digits(match[0]), spelt)
        return _replaced(spelt, self._rules_of_address)

    @staticmethod
    def _plain(text: str) -> str:
        return unicodedata.normalize("NFKC", text).casefold().strip()

    def _replaced_characters(self, text: str) -> str:
        return text.translate(self._characters)

    def _without_legal_form(self, text: str) -> str:
        for form in self.legal_forms:
            text = text.removeprefix(form).removesuffix(form).strip(" ,")
        return text

    def to_latin(self, word: str) -> str | None:
        """The word in Latin letters, or None if it contains anything other than kana and Latin letters."""
        spelt = self._kana.sub(lambda match: self.kana[match[0]], _katakana(word)).replace("ー", "")
        spelt = re.sub(r"ッ([a-z])", r"\1\1", spelt)
        spelt = "".join(each for each in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(each))
        return spelt if re.fullmatch(r"[a-z'’.-]+", spelt) else None

    @cached_property
    def _characters(self) -> dict[int, str]:
        return str.maketrans(self.characters)

    @cached_property
    def _kana(self) -> re.Pattern[str]:
        return re.compile("|".join(sorted(map(re.escape, self.kana), key=len, reverse=True)))

    @cached_property
    def _numerals(self) -> re.Pattern[str]:
        return re.compile(f"[{_NUMERALS}]+(?={self.numbers_before})")

    @cached_property
    def _rules_of_name(self) -> Compiled:
        return _compiled(self.rules.name)

    @cached_property
    def _rules_of_reading(self) -> Compiled:
        return _compiled(self.rules.reading)

    @cached_property
    def _rules_of_address(self) -> Compiled:
        return _compiled(self.rules.address)


Compiled = Sequence[tuple[Callable[[str, str], str], str]]
_WORD: Final = re.compile(r"[^\s,・·]+")
_NUMERALS: Final = "〇一二三四五六七八九十"


def parse_table(text: str, name: str) -> IdentityTable:
    """Parse a table. Raises DocumentError with all faults."""
    return parse(text, name, IdentityTable)


def default_table() -> IdentityTable:
    """The table that ships with this version of idtone."""
    return parse_table((files("idtone.config") / FILE).read_text("utf-8"), FILE)


def _compiled(rules: Sequence[Rule]) -> Compiled:
    return [(re.compile(pattern).sub, replacement) for pattern, replacement in rules]


def _replaced(text: str, rules: Compiled) -> str:
    for substituted, replacement in rules:
        text = substituted(replacement, text)
    return text


_HIRAGANA: Final = {code: code + 0x60 for code in range(0x3041, 0x3097)}


def _katakana(text: str) -> str:
    return text.translate(_HIRAGANA)


def _digits(numeral: str) -> str:
    """A numeral as digits, for example `12` for `十二` or `20` for `二〇`."""
    if "十" not in numeral:
        return "".join(str(_NUMERALS.index(each)) for each in numeral)
    tens, _, ones = numeral.partition("十")
    return str((_value(tens) or 1) * 10 + _value(ones))


def _value(numeral: str) -> int:
    return int("".join(str(_NUMERALS.index(each)) for each in numeral if each != "十") or 0)
