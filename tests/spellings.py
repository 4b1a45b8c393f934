"""One table of the spellings of numbers, as an Asterisk dialplan can come by them, and what each is.

It runs through `numbers.parse`, through the hook without the service, and through both together.
"""

from __future__ import annotations

from typing import Final

EMERGENCY_NUMBERS: Final = ("110", "118", "119")

_EMERGENCY: Final = (
    "{}", " {} ", "{0[0]}-{0[1]}-{0[2]}", "{0[0]} {0[1]} {0[2]}", "{0[0]}.{0[1]}.{0[2]}",
    "{0[0]}\t{0[1]}\n{0[2]}\r\n", "({})", "-{}-", "184{}", "186{}", "184-{}", "1 8 4 {}", "(184){}", "+81{}",
    "+81-{}", "+81 184 {}", "+81186{}", "0081{}", "00-81-{}", "01081{}", "010-81-{}", "010 81 184 {}", "tel:{}",
    "TEL:{}", "tel: {}", " tel:({})", "(tel:{})", "tel:+81{}", "tel:{};phone-context=+81", "{};phone-context=+81",
    "({0[0]}-{0[1]}-{0[2]});phone-context=+81", "{};x=y", "{};x=\ny", "{};", "{}@", "sip:{}@pbx.example.com",
    "sip:{}@[2001:db8::1]:5060;transport=tcp", "sip:{};phone-context=+81@x", "sip:184{}@h", "sip:+81{}@h", "sip:{}",
    "sips:{}@x", "SIP:{}@x", "sIpS: {} @x", "{}@x",
)  # fmt: skip
_DASHES: Final = "-‐‑‒–—―−ー－ｰ"

NO_EMERGENCY: Final = (
    "+1110", "+82110", "+8110", "+810110", "0110", "00110", "010110", "81110", "8181110", "+8181110", "0108111",
    "00810110", "+81187110", "+81184186110", "184+81110", "110119", "110-1", "tel:1100", "sip:1100@x",
    "1100;phone-context=+81", "x110@h", "110x", "+81312340110", "184", "+81184", "*110", "110#", "sip:x;user=110",
    "tel:;110", "tel:sip:110", "<sip:110@x>", "sip:110:secret@x", "117", "104", "911", "112", "1100",
    "110110", "185110", "1840110", "¹¹⁰", "①①⓪", "١١٠", "",
)  # fmt: skip
"""What only looks like an emergency number."""

SUSPENDED: Final = "0312345677"
"""The number of the table below; of it, and of nothing else, the lab's registry says that it is suspended."""

_SUSPENDED: Final = (
    "0312345677",
    " 0312345677 ",
    "03-1234-5677",
    "03 1234 5677",
    "03.1234.5677",
    "03\t1234\n5677",
    "(03)1234-5677",
    "03(1234)5677",
    "312345677",
    "3-1234-5677",
    "81312345677",
    "81-03-1234-5677",
    "+81312345677",
    "+81 3 1234 5677",
    "+81-(0)3-1234-5677",
    "01081312345677",
    "010-81-3-1234-5677",
    "010-81-03-1234-5677",
    "1840312345677",
    "186-03-1234-5677",
    "(184)0312345677",
    "184+81312345677",
    "186 +81-3-1234-5677",
    "18481312345677",
    "0312345677@10.0.0.1",
    "0312345677;phone-context=+81",
    "0312345677;a=1",
    "sip:0312345677",
    "sip:0312345677@10.0.0.1",
    "sips:0312345677@10.0.0.1",
    "SIP:0312345677@10.0.0.1:5060",
    "sip:+81312345677@192.0.2.1:5060;user=phone",
    "sip:0312345677;phone-context=+81@10.0.0.1",
    "sip:1840312345677@10.0.0.1",
    "tel:0312345677",
    "TEL:0312345677;ext=1",
    "tel:+81-3-1234-5677",
    "tel:+81312345677;ext=1",
    "tel:03-1234-5677;phone-context=+81",
    "tel: (03 1234 5677",
    "(tel:0312345677)",
    # No form of a number, but no other number either.
    "0312345677x",
    "x0312345677@10.0.0.1",
    "0312345677x@10.0.0.1;user=phone",
    "0312345677#",
    "'03-1234-5677",
    "+0312345677",
    "++81312345677",
    "312345677++",
    "03+12345677",
    "184++81312345677",
    "#184#0312345677",
    "<sip:0312345677@10.0.0.1>",
    "<tel:+81312345677>",
)

_OTHER: Final = (
    "0312345678", "03-1234-567", "031234567", "03123456770", "+8131234567", "8131234567", "+312345677", "+312345677x",
    "00312345677", "0-0312345677", "0081312345677", "0100312345677", "011-81-3-1234-5677", "+18403123456",
    "+1840312345677", "010-1-840-312-3456", "1850312345677", "31234567", "0312345677x5", "0312345678@0312345677",
    "0312345678;a=0312345677", "sip:@0312345677", "tel:", "", "anonymous", "sip:anonymous@anonymous.invalid",
    "¹0312345678",
)  # fmt: skip
"""Another number than the suspended one, or none."""


def wide(text: str) -> str:
    """In full-width characters, as a Japanese keyboard writes them."""
    return text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000})


def _digits_wide(text: str) -> str:
    return text.translate({code: code + 0xFEE0 for code in range(ord("0"), ord("9") + 1)})


def _in_every_width(*forms: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(spelled for form in forms for spelled in (form, wide(form), _digits_wide(form))))


EMERGENCIES: Final = {
    spelling: digits
    for digits in EMERGENCY_NUMBERS
    for spelling in _in_every_width(
        *(form.format(digits) for form in _EMERGENCY),
        *(form.replace("-", dash) for dash in _DASHES for form in ("-".join(digits), f"+81-{digits}", f"184-{digits}")),
    )
} | {"1\u00a01\u00a00": "110"}
"""Spelling → the emergency number that it is."""
OF_SUSPENDED: Final = _in_every_width(
    *_SUSPENDED, *(form.replace("-", dash) for dash in _DASHES for form in ("03-1234-5677", "+81-3-1234-5677"))
)
OF_OTHERS: Final = _in_every_width(*_OTHER)
LOOKING_ALIKE: Final = _in_every_width(*NO_EMERGENCY)
