"""Dialplan expressions for the time and a caller's texts.

The caller's texts must not get into Asterisk's description of a channel.
"""

import functools
from typing import Final

from .macros import TEXTS

# -- the time ---------------------------------------------------------------------------------------------------------

_ZONE: Final = '"${ENV(TZ)}"'
"""The time zone of Asterisk's process. The C library's %s converts Asterisk's calendar back by TZ, or without TZ by
/etc/localtime. Asterisk's calendar ignores TZ, so the zone is named. The quotes protect commas in a rule.
"""
NOW: Final = f"${{STRFTIME(,{_ZONE},%s.%6q)}}"
"""Seconds since 1970 with six decimals, correct in every zone, even in the hour that daylight saving time repeats."""
TENTHS: Final = f"${{STRFTIME(,{_ZONE},%s%1q)}}"
"""Tenths of a second since 1970."""


# -- texts of a caller ------------------------------------------------------------------------------------------------

CALLER_TEXTS_LIMIT: Final = 200
"""Total number of octets up to which the hook does not examine a caller's texts. Ordinary names and numbers are
shorter.
"""
CALLER_TEXT_LIMIT: Final = 80
"""Maximum number of octets of a single text when the hook examines them."""
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
"""All of a caller's texts in Asterisk's description of a channel, except the Call-ID. The last one, the dialled user,
is only in the description for AGI. The texts are cut because Asterisk loses the bracket after an argument of more than
4,095 octets.
"""
NOT_PRINTABLE: Final = r"\x01-\x1f\x7f-\xff"
"""Characters other than printable ASCII, for FILTER()."""


def utf_8_pattern() -> str:
    """Regular expression for URI-encoded UTF-8 without control characters (RFC 3629, section 4)."""

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


# -- texts for the trunk ----------------------------------------------------------------------------------------------

ANONYMOUS: Final = "^(anonymous|Anonymous|restricted|Restricted|private|Private|P)$"
"""Words that a caller's telephone writes instead of a withheld number."""


_SCRIPTS_END: Final = 0x20000
"""Start of the Unicode planes that contain ideographs, marks and private characters but no digits. Searching them too
would take a tenth of a second every time the service starts.
"""


@functools.cache
def other_digits_pattern() -> str:
    """Regular expression for URI-encoded non-ASCII digits and for three kanji digits in a row."""
    digits = filter(str.isdigit, map(chr, range(0x80, _SCRIPTS_END)))
    starts = sorted({_encoded(digit)[:-1] for digit in digits})
    kanji = "|".join(map(_encoded, "〇零一二三四五六七八九壱弐参"))
    return f"({'|'.join(starts)}|({kanji}){{3}})"


def _encoded(character: str) -> str:
    return "".join(f"%{octet:02X}" for octet in character.encode())


_NAME: Final = "${CALLERID(name):0:81}"
_IS_ASCII: Final = rf"${{LEN({_NAME})}} = ${{LEN(${{FILTER(\x20-\x7e,{_NAME})}})}}"
SHOWN_NAME: Final = (
    f"${{IF($[${{LEN(${{FILTER(0-9,{_NAME})}})}} | ${{LEN({_NAME})}} > 80"
    f' | ${{REGEX("${{IF($[{_IS_ASCII}]?^$:${{IDTONE_DIGITS}})}}" ${{URIENCODE({_NAME})}})}}]'
    rf"?:${{FILTER(A-Za-z\x20._\x2d\x80-\xff,{_NAME})}})}}"
)
"""The caller's name without characters that end an option; empty if it contains a digit, which could be part of a
number. The long pattern is compiled only for non-ASCII names.
"""

PRESENTED: Final = '${IF($["${CONNECTEDLINE(num-pres):0:6}" = "prohib"]?IDTONE_NONE:CONNECTEDLINE(num))}'
"""Name of the variable with the number that the called party sees, on its channel; empty if withheld."""

IDENTITY: Final = ",__IDTONE_IDENTITY=" + ":".join(
    r"${FILTER(A-Za-z0-9%._~!*\x2d,${URIENCODE(${${IF($["
    '"${ARG3}" != "outgoing" & "${CHANNEL(channeltype)}" = "PJSIP"'
    f"]?PJSIP_HEADER(read,Identity,{number}):IDTONE_NONE)}}:0:3000}})}})}}"
    for number in (1, 2, 3)
)
"""The MSet() pair with the incoming call's signed identities (RFC 8224), after a comma: the network's own and those of
two earlier diversions (RFC 8946).
"""
_CHAIN: Final = TEXTS["@VERDICT_CHAIN@"]


def leg_option(with_token: bool, with_identity: bool) -> str:
    """Dial() option that passes the chain token and the signed identities to a leg."""
    identity = "b(idtone-leg^s^1())" if with_identity else ""
    if not with_token:
        return identity
    token = f"v1.${{CUT(IDTONE_REQUEST,.,1)}}.${{IDTONE_NODE}}.${{IDTONE_CALL_ID}}.{_CHAIN}"
    return f"${{IF($[${{LEN({_CHAIN})}} = 12]?b(idtone-leg^s^1({token})):{identity})}}"


_FROM: Final = "${FILTER(0-9+,${REDIRECTING(from-num):0:40})}"
DIVERTED: Final = "REDIRECTING(from-all,i)=${ARG2},REDIRECTING(to-all,i)=${FILTER(0-9+*#,${ARG5:0:40})}"
"""The MSet() pairs for a diversion by the forwarding number. `from-all` also replaces the name, which can show a
number.
"""
DIVERTED_AGAIN: Final = (
    f'REDIRECTING(reason,i)=${{IF($["{_FROM}" = "${{ARG2}}"]?${{FILTER(a-z_,${{REDIRECTING(reason)}})}}:cfu)}}'
    f'${{IF($["${{IDTONE_DIVERTING}}" != "" & "{_FROM}" != "${{ARG2}}" & ${{LEN(${{REDIRECTING(orig-num):0:9}})}} = 0]'
    f"?,REDIRECTING(orig-all,i)={_FROM}:)}}"
    f',REDIRECTING(count,i)=${{IF($["{_FROM}" != "${{ARG2}}" & "${{IDTONE_DIVERTING}}" != ""]?'
    "$[0${REDIRECTING(count)} + 1]:1)}"
)
"""Reason and count for the `DIVERTED` pairs if the call was diverted before. The first diverting number from a trusted
trunk is kept.
"""
NO_DIVERSION: Final = (
    '${IF($["${LEN(${REDIRECTING(from-num):0:9})}${LEN(${REDIRECTING(to-num):0:9})}${REDIRECTING(count)}" = "000"]?:'
    ",REDIRECTING(from-all,i)=,REDIRECTING(to-all,i)=,REDIRECTING(count,i)=0)}"
)
"""The pairs that remove a diversion, after a comma; empty if there is none."""
