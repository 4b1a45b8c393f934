"""Telephone numbers of the Japanese numbering plan.

A number is written in national (`03-1234-5678`) or international form (`+81 3 1234 5678`), and is E.164 inside
(ITU-T E.164). `parse` never fails: a text that cannot be dialled has a kind of its own.
Numbers are 通信の秘密: `str` and `repr` show the last four digits at most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from .errors import NumberError
from .translation import Message

REGION = "JP"
COUNTRY_CODE = 81

EMERGENCY = frozenset({"110", "118", "119"})
"""Police, coast guard, fire (電気通信番号規則)."""

_SEPARATORS = re.compile(r"[ ().-]+")
_EMERGENCY_DIGITS = re.compile(r"(?:(?:\+|00|010)81)?(?:184|186)?(110|118|119)")
_PRESENTATION = re.compile(r"[ ().-]*18[46][ ().-]*(?=\+?[ ().-]*[08](?:[ ().-]*[0-9]){9})")
"""184 and 186 before a number withhold or present the caller's number; the called number is the same.
At least nine digits must follow the 0 or 8 (of 81), so that a +1 840 number without its plus does not match."""

_ADDRESS = re.compile(r"(?:[ ().-]*(?:sips?:|tel:))?([^@;]*)(?:[@;].*)?", re.IGNORECASE | re.DOTALL)
_WITHHELD = frozenset({"", "anonymous", "unavailable", "restricted", "private", "unknown", "p", "o", "c", "s"})
"""Empty, the words of SIP networks, and the four reasons of Japanese networks
(P private, O out of service area, C coin telephone, S service conflict)."""

_DIALLABLE = re.compile(r"\+?\(?[0-9][0-9 ().-]*")

_JAPANESE = re.compile(r"\+81(?!0|10)")
"""00 selects a carrier, and 010 is for calls abroad; no subscriber's number begins with them."""
LONG_AREA = "[25-9]0"
"""The first digits after the 0 of a number with eleven digits; other numbers have ten. A regular expression."""
_LONG_PREFIX = re.compile(f"0{LONG_AREA}")
"""020, 050, 060, 070, 080 (with 0800) and 090 begin numbers of eleven digits (電気通信番号計画)."""


class NumberKind(StrEnum):
    """The kind of a number. The duty of the sound applies to fixed numbers (0AB-J)."""

    FIXED = "fixed"
    IP_050 = "050"
    FREE_0120 = "0120"
    MOBILE = "mobile"
    OTHER = "other"
    EMERGENCY = "emergency"
    WITHHELD = "withheld"
    MALFORMED = "malformed"


_KINDS = {
    PhoneNumberType.FIXED_LINE: NumberKind.FIXED,
    PhoneNumberType.VOIP: NumberKind.IP_050,
    PhoneNumberType.TOLL_FREE: NumberKind.FREE_0120,
    PhoneNumberType.MOBILE: NumberKind.MOBILE,
}


@dataclass(frozen=True, slots=True)
class Number:
    """One party's number.

    `e164` is `+` and digits, or the digits of an emergency number. It is empty if the number is withheld or malformed,
    except in evidence: there a malformed number has what its digits make (`perhaps`).
    """

    kind: NumberKind
    e164: str = ""

    @property
    def known(self) -> bool:
        """True unless the number is withheld or malformed."""
        return bool(self.e164)

    @property
    def last4(self) -> str:
        return self.e164[-4:]

    def __str__(self) -> str:
        return f"…{self.last4}" if self.known and self.kind is not NumberKind.EMERGENCY else self.kind.value

    def __repr__(self) -> str:
        return f"<Number {self.kind.value} {self}>"


WITHHELD = Number(NumberKind.WITHHELD)
MALFORMED = Number(NumberKind.MALFORMED)


_DASHES = "‐‑‒–—―−ーｰ"
"""The dashes of Japanese keyboards."""
_BLANKS = " \t\n\v\f\r"
_TO_ASCII = str.maketrans(
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys(_DASHES, "-")
    | dict.fromkeys("\u3000\u00a0", " ")
)
_TO_BLANKS = str.maketrans(dict.fromkeys(_BLANKS, " "))


def ascii_form(text: str) -> str:
    """Full-width characters and dashes as ASCII, without blanks at the ends. The hook converts the same characters."""
    return text.translate(_TO_ASCII).strip(_BLANKS)


@lru_cache(maxsize=4096)
def parse(text: str) -> Number:
    """Read a number in any usual form. Never raises, so that a call cannot fail because of its caller id.

    Results are cached, because reading a number takes as long as deciding a call.
    """
    address = _ADDRESS.fullmatch(ascii_form(text).translate(_TO_BLANKS))
    if address is None:
        return MALFORMED
    body = address[1].strip()
    if body.lower() in _WITHHELD:
        return WITHHELD
    emergency = _EMERGENCY_DIGITS.fullmatch(_SEPARATORS.sub("", body))
    if emergency:
        return Number(NumberKind.EMERGENCY, emergency[1])
    if presentation := _PRESENTATION.match(body):
        body = body[presentation.end() :]
    if not _DIALLABLE.fullmatch(body):
        return MALFORMED
    try:
        parsed = phonenumbers.parse(body, REGION)
    except phonenumbers.NumberParseException:
        return MALFORMED
    if not phonenumbers.is_possible_number(parsed):
        return MALFORMED
    kind = _KINDS.get(phonenumbers.number_type(parsed), NumberKind.OTHER)
    if parsed.country_code != COUNTRY_CODE:
        kind = NumberKind.OTHER
    return Number(kind, phonenumbers.format_number(parsed, PhoneNumberFormat.E164))


def digits_alone(text: str) -> Number:
    """The number that the digits of a text make, without host and parameters. The hook reads a number in the same way.

    A plus counts only before a country code.
    """
    digits = re.sub("[^0-9+]", "", re.split("[@;]", ascii_form(text), maxsplit=1)[0])
    return parse(re.sub(r"(?<=.)\+|^\+(?=\+*0)", "", digits))


def perhaps(text: str) -> Number | None:
    """If the text is malformed, the telephone number that its digits make; else None."""
    number = digits_alone(text) if parse(text).kind is NumberKind.MALFORMED else WITHHELD
    return number if number.known and number.kind is not NumberKind.EMERGENCY else None


def parse_japanese(text: str) -> Number:
    """Read a complete Japanese number. Raises NumberError with reason and remedy, without the number."""
    number = parse(text)
    if number.kind is NumberKind.EMERGENCY:
        raise NumberError(Message("this is an emergency number"), Message("no member can hold it, so remove it"))
    if not _JAPANESE.match(number.e164):
        raise NumberError(
            Message("this is not a Japanese telephone number"), Message("write it like 0312345678 or +81312345678")
        )
    national = f"0{number.e164[3:]}"
    if len(national) != national_length(national):
        raise NumberError(
            Message(
                "this Japanese number needs {count} digits, counted from its first 0", count=national_length(national)
            )
        )
    return number


def national_length(national: str) -> int:
    """How many digits a number in national form has, by its first three (`031`, `050`)."""
    return 11 if _LONG_PREFIX.match(national) else 10


_PATTERN = re.compile(r"\+?[0-9]{2,15}\*?|[0-9]\*")


@dataclass(frozen=True, slots=True)
class NumberPattern:
    """A number, an extension (`101`), or the prefix of numbers (`0312*`); see `parse_pattern`."""

    digits: str
    prefix: bool = False

    def matches(self, number: Number, dialled: str = "") -> bool:
        """Whether the pattern matches the number, or the dialled text."""
        candidates = (number.e164, _SEPARATORS.sub("", dialled))
        return any(form.startswith(self.digits) if self.prefix else form == self.digits for form in candidates if form)

    def __repr__(self) -> str:
        return f"<NumberPattern of {len(self.digits)} characters>"


def parse_pattern(text: str) -> NumberPattern:
    """Read `0312345678`, `+81312345678`, `101` or `0312*`. Raises NumberError, without the number."""
    plain = _SEPARATORS.sub("", ascii_form(text))
    if not _PATTERN.fullmatch(plain):
        raise NumberError(
            Message("this is not a number"),
            Message("write it like 0312345678, 101, or 0312* for all that begin with 0312"),
        )
    digits, prefix = plain.removesuffix("*"), plain.endswith("*")
    if prefix:
        return NumberPattern(f"+{COUNTRY_CODE}{digits[1:]}" if digits.startswith("0") else digits, True)
    return NumberPattern(parse(digits).e164 or digits)


_KANJI_DIGITS = str.maketrans("〇一二三四五六七八九", "0123456789")


def holds_number(text: str) -> bool:
    """Whether a text holds what reads as a valid telephone number, in Japan without its country code. Digits may be
    full-width or kanji.
    """
    return phonenumbers.PhoneNumberMatcher(ascii_form(text).translate(_KANJI_DIGITS), REGION).has_next()
