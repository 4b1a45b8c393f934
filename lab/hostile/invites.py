"""Hostile INVITEs by number. The same seed and number result in the same octets.

The INVITEs vary each header that the hook or Asterisk's JSON reads: its length (up to a datagram), its octets, its
escapes and its repetitions. One in thirty is a message from `torture`.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.lab import CALLED_NUMBER, LICENSED, SUSPENDED
from lab.rtp import Address

from .metacharacters import META
from .raw_sip import escape_user, sdp
from .torture import MESSAGES

LONGEST: Final = 60_000
"""Maximum number of octets in all headers of a message."""
LENGTHS: Final = (79, 80, 81, 127, 128, 129, 255, 256, 257, 511, 1_024, 4_095, 4_097, 8_192, 20_000, LONGEST)
TIMES: Final = (2, 3, 20, 100, 400)
"""Possible numbers of repetitions of a header."""
TORTURE_EVERY: Final = 30
TCP_EVERY: Final = 12
WAYS: Final = "iaovd"
"""First letters of the dialled user, by which the dialplan of `attacked_trunk` selects the way.

In this order: the hook for an incoming call over ARI and over AGI, for an outgoing call, for a diverted call, and the
operator's own Dial().
"""

PLACES: Final[dict[str, tuple[str, bytes]]] = {
    "To user": ("To", b"<sip:@@@HOST>"),
    "To name": ("To", b'"@@" <sip:0312340000@HOST>'),
    "From name": ("From", b'"@@" <sip:05012345678@OWN>;tag=MARK'),
    "From name without quotes": ("From", b"@@ <sip:05012345678@OWN>;tag=MARK"),
    "From user": ("From", b"<sip:@@@OWN>;tag=MARK"),
    "From tag": ("From", b"<sip:05012345678@OWN>;tag=MARK@@"),
    "From host": ("From", b"<sip:05012345678@@@>;tag=MARK"),
    "P-Asserted-Identity user": ("P-Asserted-Identity", b"<sip:@@@OWN>"),
    "P-Asserted-Identity name": ("P-Asserted-Identity", b'"@@" <sip:05012345678@OWN>'),
    "Remote-Party-ID user": ("Remote-Party-ID", b"<sip:@@@OWN>;party=calling;privacy=off"),
    "Remote-Party-ID name": ("Remote-Party-ID", b'"@@" <sip:05012345678@OWN>;party=calling;screen=yes'),
    "Diversion user": ("Diversion", b"<sip:@@@OWN>;reason=unconditional"),
    "Diversion name": ("Diversion", b'"@@" <sip:0312345678@OWN>;reason=unconditional;counter=1'),
    "Diversion reason": ("Diversion", b'<sip:0312345678@OWN>;reason="@@"'),
    "History-Info user": ("History-Info", b"<sip:@@@OWN>;index=1"),
    "History-Info cause": ("History-Info", b"<sip:0312345678@OWN?Reason=@@>;index=1.1"),
    "Call-ID": ("Call-ID", b"MARK@@"),
    "Call-ID alone": ("Call-ID", b"@@MARK"),
    "Contact user": ("Contact", b"<sip:@@@OWN>"),
    "Contact name": ("Contact", b'"@@" <sip:attacker@OWN>'),
    "User-Agent": ("User-Agent", b"@@"),
    "Via branch": ("Via", b"SIP/2.0/OVER OWN;branch=z9hG4bKMARK@@;rport"),
    "Idtone-Chain": ("Idtone-Chain", b"v1.1795758888.node.1795758888.1-1.@@"),
    "Idtone-Chain alone": ("Idtone-Chain", b"@@"),
    "X-header": ("X-Attack", b"@@"),
    "Subject": ("Subject", b"@@"),
    "Reason": ("Reason", b'Q.850;cause=16;text="@@"'),
    "Privacy": ("Privacy", b"@@"),
    "Accept-Language": ("Accept-Language", b"@@"),
}  # fmt: skip
"""Name of a place → its header and value.

In the value, `@@` is the drawn text, MARK the number of the INVITE, and OWN and HOST the addresses.
"""

NOT_UTF_8: Final[dict[str, bytes]] = {
    "FF": b"\xff",
    "FE FF": b"\xfe\xff",
    "a lone continuation": b"\x80",
    "a start without its rest": b"\xe3\x80",
    "an overlong slash of two": b"\xc0\xaf",
    "an overlong slash of three": b"\xe0\x80\xaf",
    "an overlong slash of four": b"\xf0\x80\x80\xaf",
    "an overlong NUL": b"\xc0\x80",
    "a surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five octets": b"\xf8\x88\x80\x80\x80",
    "Shift_JIS": "転送".encode("shift_jis"),
    "Latin-1": "Zürich".encode("latin-1"),
}
UNICODE: Final[dict[str, bytes]] = {
    "U+3000": "\u3000".encode(),
    "NBSP": "\u00a0".encode(),
    "a family by ZWJ": "👨\u200d👩\u200d👧".encode(),
    "a BOM": "\ufeff".encode(),
    "U+FFFF": "\uffff".encode(),
    "U+2028": "\u2028".encode(),
    "kanji": "識別音株式会社".encode(),
    "Arabic digits": "٠٣١٢٣٤٥٦٧٧".encode(),
}
ESCAPES: Final = (
    b"%01", b"%00", b"%0d%0a", b"%0d%0aX-Lab-Endpoint: lab", b"%ff", b"%c0%af", b"%e3%80%80", b"%", b"%4", b"%zz",
    b"%25%30%31", b"%22", b"%2c", b"%24%7bIDTONE_SOUNDS%7d", b"\\u0000", b"\\", b"\\\\", b'\\"', b'"', b'""', b'"\\"',
    b"<sip:110@x>", b";lab=x", b";user=phone", b"?Replaces=x", b"tel:+81312345677", b",", b" , ", b"\r\n ", b"\t",
)  # fmt: skip
NUMBERS: Final = tuple(number.encode() for number in (LICENSED, SUSPENDED, CALLED_NUMBER, "110", "+81312345678", "0"))
_RAW: Final = re.compile(rb"[\r\n\0](?![ \t])")


@dataclass(frozen=True, slots=True)
class Invite:
    """One message. `about` describes its hostile part, without its octets."""

    number: int
    about: str
    data: bytes
    tcp: bool

    @property
    def mark(self) -> bytes:
        return mark(self.number)


def mark(number: int) -> bytes:
    """Mark in the branch, tag and Call-ID of an INVITE, which identifies the answers to it."""
    return b"hx%dy" % number


def _long(rng: random.Random) -> tuple[str, bytes]:
    length, unit = rng.choice(LENGTHS), rng.choice((b"x", b"1", b"%01", b"\\", b"\x01", "音".encode(), b"\xff", b'\\"'))
    return f"{length} octets of {unit!r}", (unit * (length // len(unit) + 1))[:length]


def _octets(rng: random.Random) -> tuple[str, bytes]:
    drawn = bytes(rng.randrange(256) for _ in range(rng.choice((1, 1, 1, 2, 8, 40))))
    return f"octets {drawn[:4].hex(' ')}", drawn


def _named(table: Mapping[str, bytes]) -> Callable[[random.Random], tuple[str, bytes]]:
    def draw(rng: random.Random) -> tuple[str, bytes]:
        name = rng.choice(list(table))
        return name, table[name] * rng.choice((1, 1, 1, 2, 50))

    return draw


def _escape(rng: random.Random) -> tuple[str, bytes]:
    drawn = b"".join(rng.choice(ESCAPES) for _ in range(rng.choice((1, 1, 2, 5))))
    return f"escapes {drawn[:12]!r}", drawn * rng.choice((1, 1, 1, 100))


WEAPONS: Final[dict[str, tuple[str, Mapping[str, bytes]]]] = {
    "call-id": ("Call-ID", NOT_UTF_8),
    "name": ("From name without quotes", NOT_UTF_8),
    "diversion": ("Diversion user", {"20000 of %01": b"%01" * 6_667, "60000 of %01": b"%01" * 19_900}),
    "digits": ("Diversion user", {"60000 digits": b"1" * 59_700}),
    "long-name": ("From name", {"60000 of 01": b"\x01" * 59_700}),
    "subject": ("Subject", {"60000 octets": b"x" * 59_700}),
    "harmless": ("Subject", {"a word": b"x"}),
}
"""Inputs that harm an unguarded Asterisk or service. They are drawn more often than by chance.

`harmless` is for comparison, as it shows the effect of the load alone.
"""
WEAPON_EVERY: Final = 8

CONTENTS: Final = (_long, _octets, _octets, _named(NOT_UTF_8), _named(UNICODE), _escape, _named(META))


def _content(rng: random.Random) -> tuple[str, bytes]:
    """A hostile text, mostly beside a number. It is often escaped as in a user part."""
    about, drawn = rng.choice(CONTENTS)(rng)
    if rng.random() < 0.4:
        drawn, about = escape_user(drawn)[:LONGEST], f"{about}, escaped"
    number = rng.choice((*NUMBERS, b"", b""))
    return about, number + drawn if rng.random() < 0.7 else drawn + number


def hostile_invite(seed: int, number: int, own: Address, to: Address, weapon: str = "") -> Invite:
    """INVITE `number` from `own` to the PBX at `to`. If `weapon` is given, only that part is hostile."""
    rng = random.Random(f"{seed}/{number}")
    tcp = rng.randrange(TCP_EVERY) == 0
    words = {
        b"MARK": mark(number),
        b"OWN": b"%s:%d" % (own[0].encode(), own[1]),
        b"HOST": b"%s:%d" % (to[0].encode(), to[1]),
        b"OVER": b"TCP" if tcp else b"UDP",
    }
    if not weapon and rng.randrange(TORTURE_EVERY) == 0:
        name = rng.choice(list(MESSAGES))
        return Invite(number, f"RFC 4475: {name}", _filled(MESSAGES[name], words), tcp)
    user = rng.choice(WAYS).encode() + rng.choice(NUMBERS)
    about: list[str] = []
    headers = {
        "Via": [b"SIP/2.0/OVER OWN;branch=z9hG4bKMARK;rport"], "Max-Forwards": [b"70"],
        "From": [b"<sip:05012345678@OWN>;tag=MARK"], "To": [b"<sip:0312340000@HOST>"], "Call-ID": [b"MARK"],
        "CSeq": [b"1 INVITE"], "Contact": [b"<sip:attacker@OWN>"], "Content-Type": [b"application/sdp"],
    }  # fmt: skip
    for _ in range(1 if weapon else rng.choice((1, 1, 1, 2, 4))):
        if weapon or rng.randrange(WEAPON_EVERY) == 0:
            place, contents = WEAPONS[weapon or rng.choice(list(WEAPONS))]
            what, content = rng.choice(list(contents.items()))
        else:
            place = rng.choice(("request user", *PLACES))
            what, content = _content(rng)
        about.append(f"{place}: {what}")
        if place == "request user":
            user += _one_line(content).replace(b" ", b"%20")
            continue
        header, template = PLACES[place]
        value = _one_line(template.replace(b"@@", content))
        # Headers that may appear once sometimes appear twice, and the others up to hundreds of times.
        times = rng.choice(TIMES) if not weapon and rng.random() < 0.12 else 1
        if times > 1:
            about[-1] += f", {times} times"
        headers[header] = [value] * times
    if rng.random() < 0.5:
        headers["X-Lab-Trunk"] = [b"trusting"]
    lines = [b"INVITE sip:%s@HOST SIP/2.0" % user]
    left = LONGEST
    for header, values in headers.items():
        for value in values:
            line = header.encode() + b": " + value[: max(left, 40)]
            if left > 0:
                lines.append(line)
            left -= len(line)
    body = sdp(9)  # no phone listens at this port
    lines += [b"Content-Length: %d" % len(body), b"", b""]
    return Invite(number, "; ".join(about), _filled(b"\r\n".join(lines), words) + body, tcp)


def _one_line(value: bytes) -> bytes:
    """The value without line breaks, which would only begin another header."""
    return _RAW.sub(b"", value).rstrip(b"\r\n")


def _filled(message: bytes, words: Mapping[bytes, bytes]) -> bytes:
    return re.sub(rb"MARK|OWN|HOST|OVER", lambda found: words[found[0]], message)
