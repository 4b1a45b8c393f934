"""Expressions of the hook: the time, and what a caller wrote and must not reach Asterisk's description of a channel."""

from __future__ import annotations

from typing import Final

# -- the time ---------------------------------------------------------------------------------------------------------

_ZONE: Final = '"${ENV(TZ)}"'
"""The zone of Asterisk's process. The C library's %s reads Asterisk's calendar back by TZ, or without TZ by
/etc/localtime; Asterisk's calendar does not look at TZ, so the zone is named. The quotes keep the commas of a rule
together."""
NOW: Final = f"${{STRFTIME(,{_ZONE},%s.%6q)}}"
"""Seconds since 1970 with six decimals, in every zone and also in the hour that daylight saving time repeats."""
TENTHS: Final = f"${{STRFTIME(,{_ZONE},%s%1q)}}"
"""Tenths of a second since 1970."""


# -- what a caller wrote ----------------------------------------------------------------------------------------------

CALLER_TEXTS_LIMIT: Final = 200
"""Most octets of a caller's texts together without a closer look; longer than a usual name with usual numbers."""
CALLER_TEXT_LIMIT: Final = 80
"""Most octets of one of them, if they are looked at."""
CALLER_TEXTS: Final = "".join(
    f"${{{each}:0:{CALLER_TEXTS_LIMIT + 1}}}"
    for each in (
        "CALLERID(name)",
        "CALLERID(num)",
        "CONNECTEDLINE(name)",
        "CONNECTEDLINE(num)",
        "REDIRECTING(from-num)",
        "CALLERID(dnid)",
    )
)
"""All texts of a caller in Asterisk's description of a channel, except the Call-ID; the last one, which is the dialled
user, only in that for AGI. They are cut: Asterisk loses the
bracket behind an argument of more than 4,095 octets."""
NOT_PRINTABLE: Final = "%([01]|7F|[89A-F])"
"""A pattern for what is not printable ASCII, in URI encoding: in the encoded text it means the same in every locale."""


def utf_8() -> str:
    """A pattern for UTF-8 without control characters, in URI encoding (RFC 3629, section 4)."""

    def octets(*ranges: str) -> str:
        return "".join(f"%{each}" for each in ranges)

    hexadecimal, tail = "[0-9A-F]", "[89AB][0-9A-F]"
    forms = (
        "[^%]",
        octets(f"[2-6]{hexadecimal}"),
        octets("7[0-9A-E]"),
        octets("C[2-9A-F]", tail),
        octets(f"D{hexadecimal}", tail),
        octets("E0", f"[AB]{hexadecimal}", tail),
        octets("E[1-9A-CEF]", tail, tail),
        octets("ED", f"[89]{hexadecimal}", tail),
        octets("F0", f"[9AB]{hexadecimal}", tail, tail),
        octets("F[1-3]", tail, tail, tail),
        octets("F4", f"8{hexadecimal}", tail, tail),
    )
    return f"^({'|'.join(forms)})*$"
