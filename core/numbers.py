"""Telephone numbers of the Japanese numbering plan.

Users write a number in national (`03-1234-5678`) or international form (`+81 3 1234 5678`). Inside idtone, numbers are
in ITU-T E.164 form. `parse` never fails; for text that cannot be dialled, it returns the kind of problem. Numbers are
secret (通信の秘密), so `str` and `repr` show at most the last four digits.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from .errors import NumberError
from .fast_enum import FastEnum
from .translation import Message

REGION = "JP"
COUNTRY_CODE = 81

_SEPARATORS = re.compile(r"[ ().-]+")
_ADDRESS = re.compile(
    r"[ ().-]*<?[ ().-]*(?:(?:sips?|tel):)?([^@;<>&/,]*)"
    r"(?:;(?:[^-+() .0-9&/<,][^&/<,]*)?|@[^&/<,]*|>[ ().-]*(?:;[^&/<,]*)?)?",
    re.IGNORECASE | re.DOTALL,
)
"""A number, optionally followed by a host or parameters. The characters that it excludes separate numbers and
destinations.
"""
_WITHHELD = frozenset({"", "anonymous", "unavailable", "restricted", "private", "unknown", "p", "o", "c", "s"})
"""Texts of a withheld number: empty, the words of SIP networks, and the four reasons of Japanese networks (P private, O
out of service area, C coin telephone, S service conflict).
"""

LONG_AREA = "[25-9]0"
"""A regular expression for the digits after the leading 0 in eleven-digit numbers. Other numbers have ten digits."""
_LONG_PREFIX = re.compile(f"0{LONG_AREA}")
"""Prefixes of eleven-digit numbers: 020, 050, 060, 070, 080 (including 0800) and 090 (電気通信番号計画)."""

# The grammar, on the text without separators, as POSIX extended regular expressions: the hook has them from
# `dialplan`, which must not import this module, and a test compares the two. 184 and 186 before a number withhold or
# present the caller's number; the called number is the same. 010 is for calls abroad; no subscriber's number begins
# with it. All other prefixes select a carrier (0033, 0088, 122), and the number after them is not read.
SUBSCRIBER = f"({LONG_AREA}[0-9]{{8}}|(1[1-9]|[34][0-9]|[25-9][1-9])[0-9]{{7}})"
"""A complete Japanese number without the leading 0."""
JAPANESE = f"^((18[46])?([+]|010|00)?810?|(18[46])?0|){SUBSCRIBER}$"
"""A Japanese number: with or without the leading 0, or with 81 and an optional 0 after it."""
ABROAD = "^(18[46])?([+]|010)([1-79]|8[02-9])[0-9]{6,14}$"
"""A foreign number, which must have its international prefix."""
EMERGENCY_DIGITS = "^(([+]|00|010)81)?(18[46])?11[089]#?$"
"""Emergency numbers by 電気通信番号規則: police (110), coast guard (118), fire (119)."""
_JAPANESE, _ABROAD, _EMERGENCY_DIGITS = map(re.compile, (JAPANESE, ABROAD, EMERGENCY_DIGITS))


class NumberKind(FastEnum):
    """Kind of a telephone number. Only fixed numbers (0AB-J) must have the sound."""

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
    """A party's telephone number.

    `e164` is `+` and digits, or the digits of an emergency number. It is empty for a withheld or malformed number. In
    evidence, a malformed number has the `e164` that its digits form (`parse_or_none`).
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
"""Dash characters found on Japanese keyboards."""
_BLANKS = " \t\n\v\f\r"
MARKS = "".join(
    chr(code)
    for codes in (
        (0xAD, 0xFEFF),
        range(0x200B, 0x2010),
        range(0x202A, 0x202F),
        range(0x2060, 0x2065),
        range(0x2066, 0x206A),
    )
    for code in codes
)
"""Zero-width characters, which are dropped. They join or separate other characters or change the writing direction."""
_TO_ASCII = str.maketrans(
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys(_DASHES, "-")
    | dict.fromkeys("\u3000\u00a0", " ")
    | dict.fromkeys(MARKS, "")
)
_TO_BLANKS = str.maketrans(dict.fromkeys(_BLANKS, " "))


def ascii_form(text: str) -> str:
    """Convert full-width characters and dashes to ASCII and remove `MARKS` and surrounding spaces.

    The hook converts the same characters.
    """
    return text.translate(_TO_ASCII).strip(_BLANKS)


@lru_cache(maxsize=4096)
def parse(text: str) -> Number:
    """Parse a telephone number in any common form. Text that is not a number yields a kind such as MALFORMED.

    A Japanese number must be complete and stand alone. The function never raises, so no caller id can make a call fail.
    Results are cached, because parsing takes as long as a decision.
    """
    address = _ADDRESS.fullmatch(ascii_form(text).translate(_TO_BLANKS))
    if address is None:
        return MALFORMED
    body = address[1].strip()
    if body.lower() in _WITHHELD:
        return WITHHELD
    digits = _SEPARATORS.sub("", body)
    if _EMERGENCY_DIGITS.fullmatch(digits):
        return Number(NumberKind.EMERGENCY, digits.removesuffix("#")[-3:])
    if japanese := _JAPANESE.fullmatch(digits):
        return _japanese(japanese[5])
    if abroad := _ABROAD.fullmatch(digits):
        return _abroad(digits[abroad.end(2) :])
    return MALFORMED


def _japanese(national: str) -> Number:
    kind = phonenumbers.number_type(PhoneNumber(COUNTRY_CODE, int(national)))
    return Number(_KINDS.get(kind, NumberKind.OTHER), f"+{COUNTRY_CODE}{national}")


def _abroad(digits: str) -> Number:
    try:
        e164 = phonenumbers.format_number(phonenumbers.parse(f"+{digits}"), PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:  # a country code that does not exist
        e164 = f"+{digits}"
    return Number(NumberKind.OTHER, e164)


def parse_or_none(text: str) -> Number | None:
    """The Japanese number that the digits of a malformed text form, or None.

    An address's host and parameters are ignored. If `policy.unreadable` is `notice`, the hook reads these numbers in
    the same way.
    """
    if parse(text).kind is not NumberKind.MALFORMED:
        return None
    digits = re.sub("[^0-9]", "", re.split("[@;]", ascii_form(text), maxsplit=1)[0])
    japanese = _JAPANESE.fullmatch(digits)
    return _japanese(japanese[5]) if japanese else None


def parse_japanese(text: str) -> Number:
    """Parse a complete Japanese number. Raises NumberError with a reason and a remedy but without the number."""
    number = parse(text)
    if number.kind is NumberKind.EMERGENCY:
        raise NumberError(Message("this is an emergency number"), Message("no member can hold it, so remove it"))
    if number.e164.startswith(f"+{COUNTRY_CODE}"):
        return number
    if match := _INCOMPLETE.fullmatch(_SEPARATORS.sub("", ascii_form(text))):
        count = national_length(f"0{match[1]}")
        raise NumberError(Message("this Japanese number needs {count} digits, counted from its first 0", count=count))
    raise NumberError(
        Message("this is not a Japanese telephone number"), Message("write it like 0312345678 or +81312345678")
    )


_INCOMPLETE = re.compile("(?:[+]810?|0)((?!10)[1-9][0-9]{7,14})")


def national_length(national: str) -> int:
    """Number of digits of a national number, based on its first three characters (such as `031` or `050`)."""
    return 11 if _LONG_PREFIX.match(national) else 10


_PATTERN = re.compile(r"\+?[0-9]{2,15}\*?|[0-9]\*")


@dataclass(frozen=True, slots=True)
class NumberPattern:
    """A number pattern: a number, an extension (`101`) or a prefix (`0312*`)."""

    digits: str
    prefix: bool = False

    def matches(self, number: Number, dialled: str = "") -> bool:
        """True if the pattern matches the number or the dialled text."""
        candidates = (number.e164, _SEPARATORS.sub("", dialled))
        return any(form.startswith(self.digits) if self.prefix else form == self.digits for form in candidates)

    def __repr__(self) -> str:
        return f"<NumberPattern of {len(self.digits)} characters>"


def parse_pattern(text: str) -> NumberPattern:
    """Parse `0312345678`, `+81312345678`, `101` or `0312*`. Raises NumberError, which never contains the number."""
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
    """True if the text contains a valid telephone number.

    Recognizes Japanese numbers even without a country code, and full-width and kanji digits.
    """
    return phonenumbers.PhoneNumberMatcher(ascii_form(text).translate(_KANJI_DIGITS), REGION).has_next()
