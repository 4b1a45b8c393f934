"""Spellings of numbers that can reach an Asterisk dialplan, each with its meaning.

They are generated from parts. Tests pass them to `numbers.parse`, to the hook without the service, and to both
together.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

EMERGENCY_NUMBERS: Final = ("110", "118", "119")
SUSPENDED: Final = "0312345677"
"""The only number that the lab's registry suspends."""

DASHES: Final = "-‐‑‒–—―−ー－ｰ"
MARKS: Final = [
    chr(code)
    for codes in (
        (0xAD, 0xFEFF),
        range(0x200B, 0x2010),
        range(0x202A, 0x202F),
        range(0x2060, 0x2065),
        range(0x2066, 0x206A),
    )
    for code in codes
]
"""Bidirectional marks and zero-width characters."""
SEPARATORS: Final = ("", " ", ".", "\t", "\u00a0", "\u3000", *DASHES)
_AROUND: Final = (
    "{}{}", "sip:{}{}", "sips:{}{}", "tel:{}{}", "TEL:{}{}", "sIp:{}{}", "<sip:{}{}>", "<tel:{}{}>", "<{}{}>",
    "tel: {}{}",
    " {} {}", "({}){}",
)  # fmt: skip
"""Texts around a number and its host or parameters."""
_REST: Final = (
    "", "@x", "@10.0.0.1:5060", ";phone-context=+81", "@[2001:db8::1]:5060;transport=tcp", ";", ";x=\ny",
    "@h;user=phone",
)  # fmt: skip
_CARRIERS: Final = ("0033", "0036", "0041", "0061", "0077", "0082", "0088", "0091", "001", "122", "0010", "000")
_SCRIPTS: Final = {
    "Arabic": "٠١٢٣٤٥٦٧٨٩", "Persian": "۰۱۲۳۴۵۶۷۸۹", "Devanagari": "०१२३४५६७८९", "Bengali": "০১২৩৪৫৬৭৮৯",
    "Thai": "๐๑๒๓๔๕๖๗๘๙", "Kanji": "〇一二三四五六七八九", "superscript": "⁰¹²³⁴⁵⁶⁷⁸⁹", "circled": "⓪①②③④⑤⑥⑦⑧⑨",
    "mathematical": "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
}  # fmt: skip


def full_width(text: str) -> str:
    """The text in full-width characters, as a Japanese keyboard writes them."""
    return text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000})


def full_width_digits(text: str) -> str:
    return text.translate({code: code + 0xFEE0 for code in range(ord("0"), ord("9") + 1)})


def _plain(text: str) -> str:
    return text


_WIDTHS: Final[Sequence[Callable[[str], str]]] = (_plain, full_width, _plain, full_width_digits)


def _in_every_width(*forms: str) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(spelled for form in forms for spelled in (form, full_width(form), full_width_digits(form)))
    )


def _some(count: int, *parts: Sequence[object]) -> list[tuple[object, ...]]:
    """`count` of all combinations of the parts, the same each time. Each value of each part occurs."""
    return [_combination(index * 7919 % math.prod(map(len, parts)), parts) for index in range(count)]


def _combination(at: int, parts: Sequence[Sequence[object]]) -> tuple[object, ...]:
    """The combination of `itertools.product` at this position."""
    found: list[object] = []
    for part in reversed(parts):
        at, place = divmod(at, len(part))
        found.append(part[place])
    return tuple(reversed(found))


def _combined(
    count: int, written: Sequence[str], rest: Sequence[str] = _REST, surroundings: Sequence[str] = _AROUND
) -> list[str]:
    """`count` spellings of numbers, combined from `written`, `rest` and `surroundings`.

    `-` in `written` stands for a separator.
    """
    return [
        width(around.format(number.replace("-", separator), tail).replace(";>", ">"))
        for around, number, separator, width, tail in _some(count, surroundings, written, SEPARATORS, _WIDTHS, rest)
    ]  # type: ignore[operator, union-attr, arg-type, misc]


def _marked(number: str) -> Iterable[str]:
    """Yield the number with each mark inside it, around it, and around each part."""
    for mark in MARKS:
        yield number[:2] + mark + number[2:]
        yield f"{mark}{number}{mark}"
        yield f"sip:{mark.join(number)}@x"


_EMERGENCY: Final = (
    "{}",
    "184{}",
    "186-{}",
    "+81{}",
    "+81-{}",
    "+81-184-{}",
    "0081{}",
    "00-81-{}",
    "01081{}",
    "010-81-186{}",
)
_EMERGENCY_BY_HAND: Final = (
    "{}", "1 8 4 {}", "(184){}", "(tel:{})", " tel:({})", "{}@", "sip:{}", "{}#", "184{}#", "tel:{}#", "sip:{}#@x",
    "<sip:{}@x>", "<tel:{}>", "<sip:{}@x>;tag=1", "<{}>",
)  # fmt: skip


def _emergencies(digits: str) -> Iterable[str]:
    split = "-".join(digits)
    yield from _in_every_width(*(form.format(digits) for form in _EMERGENCY_BY_HAND))
    yield from _marked(digits)
    yield from _combined(150, [form.format(split) for form in _EMERGENCY], (*_REST, "#"))


EMERGENCIES: Final = {spelling: digits for digits in EMERGENCY_NUMBERS for spelling in _emergencies(digits)}
"""Spelling → the emergency number that it means."""

LOOKING_ALIKE: Final = (
    *_in_every_width(
        "+1110", "+82110", "+8110", "+810110", "0110", "00110", "010110", "81110", "8181110", "+8181110", "0108111",
        "00810110", "+81187110", "+81184186110", "184+81110", "110119", "110-1", "tel:1100", "sip:1100@x",
        "1100;phone-context=+81", "x110@h", "110x", "+81312340110", "184", "+81184", "*110", "110##", "#110",
        "sip:x;user=110", "tel:;110", "tel:sip:110", "sip:110:secret@x", "117", "104", "911", "112", "1100",
        "110110", "185110", "1840110", "110 ext. 5", "110/119", "110;119", "<sip:1100@x>", "110>5",
    ),
    "110@trunk&PJSIP/3012345678", "3012345678@trunk&Nix/110", "3012345678@trunk&PJSIP/110@trunk", "110&119", "110;a&b",
    "110@x/110", "",
    *(script[1] + script[1] + script[0] for script in _SCRIPTS.values()),
    *(f"11{script[0]}" for script in _SCRIPTS.values()),
)  # fmt: skip
"""Texts that only look like an emergency number."""


def dashed(number: str) -> str:
    """A Japanese number in its printed form: 03-1234-5677."""
    return f"{number[:-8]}-{number[-8:-4]}-{number[-4:]}"


def _national(number: str) -> tuple[str, ...]:
    """National spellings, with `-` as a placeholder for a separator."""
    return (dashed(number), "-".join(number), dashed(number)[1:])


def _abroad(number: str) -> tuple[str, ...]:
    """International spellings, as dialled from abroad or to another country, with `-` as a placeholder."""
    whole, short = dashed(number), dashed(number)[1:]
    return (
        f"+81-{short}", f"+81-{whole[0]}-{short}", f"81-{short}", f"81-{whole}", f"010-81-{short}",
        f"010-81-{whole}", f"0081-{short}", f"00-81-{whole}",
    )  # fmt: skip


def _caller_id_asked(number: str) -> tuple[str, ...]:
    """Spellings with the prefix that withholds or shows the caller's number, with `-` as a placeholder."""
    whole, short = dashed(number), dashed(number)[1:]
    return (
        f"184-{whole}", f"186-{whole}", f"184-+81-{short}", f"184-81-{short}", f"186-010-81-{short}",
        f"186-0081{number[1:]}",
    )  # fmt: skip


def _written(number: str) -> tuple[str, ...]:
    return (*_national(number), *_abroad(number), *_caller_id_asked(number))


def _by_hand(number: str) -> tuple[str, ...]:
    area, middle, last = dashed(number).split("-")
    return (
        number, f"({area}){middle}-{last}", f"{area}({middle}){last}", f"+81-({area[0]}){area[1:]}-{middle}-{last}",
        f"(184){number}", f"tel: ({area} {middle} {last}", f"(tel:{number})", f"TEL:{number};ext=1",
        f"sip:{number};phone-context=+81@10.0.0.1", f"<sip:{number}@10.0.0.1>", f"<tel:+81{number[1:]}>",
        f"<tel:0081{number[1:]}>;x=1", f"{number};a=1",
    )  # fmt: skip


Spell = Callable[[str], Iterable[str]]
"""Function that returns spellings of a Japanese number (0312345677)."""
READABLE: Final[Mapping[str, Spell]] = {
    "digits": lambda number: (number, f"+81{number[1:]}"),
    "separators": lambda number: (
        text.replace("-", separator) for text in _national(number) for separator in SEPARATORS[:6]
    ),
    "dashes": lambda number: (text.replace("-", dash) for text in _national(number) for dash in DASHES),
    "from abroad": lambda number: _combined(130, _abroad(number), ("",), ("{}{}",)),
    "184 and 186": lambda number: _combined(100, _caller_id_asked(number), ("",), ("{}{}",)),
    "full width": lambda number: (
        width(text) for text in _written(number) for width in (full_width, full_width_digits)
    ),
    "by hand": lambda number: _in_every_width(*_by_hand(number)),
    "addresses": lambda number: _combined(200, _national(number)),
    "marks": lambda number: (*_marked(number), *_marked(f"+81{number[1:]}")),
    "all at once": lambda number: _combined(360, _written(number)),
}
"""Property → spellings in which a number can be read."""

OF_SUSPENDED: Final = tuple(
    dict.fromkeys(
        (
            *_in_every_width(*_by_hand(SUSPENDED)),
            *_marked(SUSPENDED),
            *_marked("+81312345677"),
            *_combined(360, _written(SUSPENDED)),
        )
    )
)
"""Readable spellings of the suspended number."""

_BEHIND: Final = (
    "x", "x5", "#", "++", " ext. 5", " ext5", ";5", "0", "-1", "#0312345678", "/0312345678", " / 0312345678",
    "&0312345678", " or 0312345678", "、0312345678", "|0312345678", " 0312345678", "'", "*", "：", "_",
    "@trunk&PJSIP/0312345678", "@x/0312345678",
)  # fmt: skip
_BEFORE: Final = (
    "x",
    "'",
    "+",
    "++",
    "#184#",
    "*67",
    "9",
    "00",
    "184++81 ",
    "0312345678/",
    "0312345678 ",
    "p:",
    "\x7f",
)


def _in_other_scripts(number: str) -> Iterable[str]:
    for digits in _SCRIPTS.values():
        theirs = str.maketrans("0123456789", digits)
        yield number.translate(theirs)
        yield f"+81{number[1:]}".translate(theirs)
        for at in range(len(number)):
            yield number[:at] + number[at].translate(theirs) + number[at + 1 :]


def _by_carriers(number: str) -> Iterable[str]:
    forms = number, f"-{dashed(number)}", f"010-81-{dashed(number)[1:]}"
    for carrier, form, around in itertools.product(_CARRIERS, forms, ("{}", "sip:{}@x", "tel:{}")):
        yield around.format(carrier + form)


def _among_others(number: str) -> Iterable[str]:
    for form in (number, dashed(number), f"+81{number[1:]}"):
        yield from (form + behind for behind in _BEHIND)
        yield from (before + form for before in _BEFORE)
    yield from _in_every_width(f"x{number}@10.0.0.1", f"{number}x@10.0.0.1;user=phone", f"{number[:-8]}+{number[-8:]}")


OUT_OF_ORDER: Final[Mapping[str, Spell]] = {
    "other scripts": _in_other_scripts,
    "carriers' prefixes": _by_carriers,
    "among others": _among_others,
}
"""Fault → spellings in which a number cannot be read reliably."""

UNREADABLE: Final = tuple(dict.fromkeys(text for spell in OUT_OF_ORDER.values() for text in spell(SUSPENDED)))
"""Spellings of the suspended number that cannot be read reliably."""

OF_OTHERS: Final = _in_every_width(
    "0312345678",
    "+1 212 555 1234",
    "+312345677",
    "+18403123456",
    "010-1-840-312-3456",
    "184-010-1-212-555-1234",
    "0312345678@0312345677",
    "0312345678;a=0312345677",
    "sip:0312345678@x;user=0312345677",
    "09012345678",
    "9012345678",
    "050-1234-5677",
    "0120-345-677",
    "+81-120-345-677",
    "0570012345",
    "+1840312345",
    "0101234567",
)
"""Other numbers."""
NO_NUMBERS: Final = (
    "",
    *_in_every_width(
        "03-1234-567",
        "031234567",
        "03123456770",
        "+8131234567",
        "8131234567",
        "+312345677x",
        "00312345677",
        "0-0312345677",
        "0100312345677",
        "011-81-3-1234-5677",
        "18403123456",
        "1850312345677",
        "31234567",
        "0312345677x5",
        "sip:@0312345677",
        "tel:",
        "anonymous",
        "sip:anonymous@anonymous.invalid",
        "101",
        "0",
        "+",
        "¹0312345678",
        "0501234567",
        "09012345",
        "090123456789",
        "+81101234567",
        "184312345677",
        "110",
        "184119",
        "*110",
        "0312345678:x@h",
        "'0312345678",
        "0312345678'",
        "03'12345678",
    ),
)
"""Texts without a number that can be read."""
