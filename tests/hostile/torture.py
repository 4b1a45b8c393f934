"""The torture messages of RFC 4475 that concern who answers an INVITE over UDP, written anew for the lab's addresses.

Each has the RFC's short name and what is odd about it; headers that do not matter for that are the lab's usual ones.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import Final

from ..lab.rtp import Address
from .attack import sdp

OWN, PBX = b"@OWN@", b"@PBX@"
"""Stand for the sender's address and for Asterisk's."""

START: Final = b"INVITE sip:0312340000@" + PBX + b" SIP/2.0"
USUAL: Final = {
    "Via": b"SIP/2.0/UDP @OWN@;branch=@BRANCH@",
    "Max-Forwards": b"68",
    "From": b"<sip:05012345678@@OWN@>;tag=@TAG@",
    "To": b"<sip:0312340000@@PBX@>",
    "Call-ID": b"@CALL@",
    "CSeq": b"1 INVITE",
    "Contact": b"<sip:caller@@OWN@>",
    "Content-Type": b"application/sdp",
}


@dataclass(frozen=True, slots=True)
class Torture:
    """One message. `headers` replaces the usual ones of that name, None leaves one out; `more` is added as it is."""

    name: str
    odd: str
    start: bytes = START
    headers: tuple[tuple[str, bytes | None], ...] = ()
    more: bytes = b""
    body: bytes = sdp()
    length: bytes | None = b""
    """Content-Length: empty for the right one, None for none."""
    answered: bool = True
    """Whether Asterisk must answer; where not, silence will do as well."""

    def encode(self, own: Address, pbx: Address) -> bytes:
        values = dict[str, bytes | None](USUAL) | dict(self.headers)
        lines = [self.start, *(f"{name}: ".encode() + value for name, value in values.items() if value is not None)]
        if self.length is not None:
            lines.append(b"Content-Length: " + (self.length or str(len(self.body)).encode()))
        text = b"\r\n".join(lines) + b"\r\n" + self.more + b"\r\n" + self.body
        for mark, value in {
            OWN: f"{own[0]}:{own[1]}".encode(),
            PBX: f"{pbx[0]}:{pbx[1]}".encode(),
            b"@BRANCH@": b"z9hG4bK" + secrets.token_hex(8).encode(),
            b"@TAG@": secrets.token_hex(6).encode(),
            b"@CALL@": secrets.token_hex(8).encode() + b"@lab",
        }.items():
            text = text.replace(mark, value)
        return text


def _other(method: bytes, uri: bytes = b"sip:0312340000@" + PBX) -> bytes:
    return method + b" " + uri + b" SIP/2.0"


def _many(name: str, odd: str, *values: tuple[str, bytes | None], **rest: object) -> Torture:
    return replace(Torture(name, odd, headers=values), **rest)  # type: ignore[arg-type]


_LONG: Final = b"very" * 200
MESSAGES: Final = [
    # 3.1.1: valid
    Torture(
        "wsinv",
        "folded lines, blanks everywhere, compact and odd spellings of header names",
        headers=(
            ("Via", None),
            ("Max-Forwards", None),
            ("From", None),
            ("To", None),
            ("Call-ID", None),
            ("CSeq", None),
            ("Contact", None),
        ),
        more=b"TO :\r\n sip:0312340000@@PBX@ ;   tag    = 1918181833n\r\n"
        b'from   : "J Rosenberg \\\\\\""       <sip:05012345678@@OWN@>\r\n  ;\r\n  tag = @TAG@\r\n'
        b"MaX-fOrWaRdS: 0068\r\nCall-ID: @CALL@\r\ncseq: 0009\r\n  INVITE\r\n"
        b"Via  : SIP  /   2.0\r\n /UDP\r\n    @OWN@;branch=@BRANCH@\r\ns :\r\nNewFangledHeader:   newfangled value\r\n"
        b" continued newfangled value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
        b"Route:\r\n <sip:@PBX@;lr;unknownwith=value;unknown-no-value>\r\n"
        b'm:"Quoted string \\"\\"" <sip:caller@@OWN@> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n',
    ),
    Torture(
        "intmeth",
        "a method and parts of every character that is allowed",
        start=b"!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
        b":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@@PBX@ SIP/2.0",
        headers=(("CSeq", b"139122385 !interesting-Method0123456789_*+`.%indeed'~"),),
    ),
    _many(
        "esc01",
        "escaped characters in the user part and after the host",
        ("To", b"<sip:%75se%72@@PBX@>"),
        ("From", b"<sip:I%20have%20spaces@@OWN@>;tag=@TAG@"),
        start=_other(b"INVITE", b"sip:sips%3Auser%40example.com@" + PBX),
    ),
    _many(
        "escnull",
        "NUL, escaped, in the user part",
        ("To", b"<sip:null-%00-null@@PBX@>"),
        ("From", b"<sip:null-%00-null@@OWN@>;tag=@TAG@"),
        start=_other(b"INVITE", b"sip:null-%00-null@" + PBX),
    ),
    _many(
        "esc02",
        "percent signs that escape nothing",
        ("CSeq", b"29344 RE%47IST%45R"),
        start=_other(b"RE%47IST%45R", b"sip:registrar@" + PBX),
    ),
    _many("lwsdisp", "no blank between the display name and <", ("From", b"caller<sip:05012345678@@OWN@>;tag=@TAG@")),
    Torture(
        "longreq",
        "long values in every header",
        headers=(
            (
                "To",
                b'"I have a user name of '
                + b"extreme" * 20
                + b' proportion" <sip:0312340000@@PBX@:6000;unknownparam1='
                + _LONG
                + b">",
            ),
            ("From", b"<sip:05012345678@@OWN@>;tag=@TAG@" + b"a" * 400 + b";unknownheaderparam=" + _LONG),
            ("Call-ID", b"@CALL@" + b"longcallid" * 30),
        ),
        more=b"Unknown-"
        + b"Long" * 20
        + b"-Name: "
        + _LONG
        + b"\r\n"
        + b"".join(b"Via: SIP/2.0/TCP sip%d.example.com\r\n" % n for n in range(33)),
        answered=False,
    ),
    Torture(
        "dblreq",
        "another request behind the body",
        body=sdp() + b"INVITE sip:joe@example.com SIP/2.0\r\n",
        length=str(len(sdp())).encode(),
    ),
    _many(
        "semiuri", "parameters within the user part", start=_other(b"INVITE", b"sip:user;par=u%40example.net@" + PBX)
    ),
    Torture(
        "transports",
        "unknown transports in the Via",
        start=_other(b"OPTIONS"),
        headers=(("CSeq", b"60 OPTIONS"),),
        more=b"Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKxy\r\n"
        b"Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKz\r\n",
    ),
    _many(
        "mpart01",
        "a body of several parts, one of them binary",
        ("Content-Type", b"multipart/mixed;boundary=7a9cbec02ceef655"),
        body=b"--7a9cbec02ceef655\r\nContent-Type: application/sdp\r\n\r\n"
        + sdp()
        + b"\r\n--7a9cbec02ceef655\r\nContent-Type: application/octet-stream\r\n\r\n"
        + bytes(range(256))
        + b"\r\n--7a9cbec02ceef655--\r\n",
    ),
    Torture(
        "unreason",
        "a response with a reason in Unicode, to nobody",
        start="SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое".encode(),
        answered=False,
    ),
    Torture("noreason", "a response without a reason, to nobody", start=b"SIP/2.0 100 ", answered=False),
    # 3.1.2: invalid
    _many(
        "badinv01",
        "semicolons and commas where nothing stands",
        ("Via", b"SIP/2.0/UDP @OWN@;;,;,,"),
        ("Contact", b'"" <> ;,"Joe" <sip:joe@@OWN@>;;;;'),
        answered=False,
    ),
    Torture("clerr", "a Content-Length beyond the datagram", length=b"9999", answered=False),
    Torture("ncl", "a negative Content-Length", length=b"-999", answered=False),
    _many(
        "scalar02",
        "numbers beyond all bounds",
        ("CSeq", b"36893488147419103232 INVITE"),
        ("Max-Forwards", b"300"),
        more=b"Expires: 10000000000000000000000000000000000000\r\n",
        answered=False,
    ),
    Torture(
        "scalarlg",
        "a response with numbers beyond all bounds, to nobody",
        start=b"SIP/2.0 503 Service Unavailable",
        headers=(("CSeq", b"9292394834772304023312 OPTIONS"),),
        more=b"Retry-After: 949302838503028349304023988\r\n",
        answered=False,
    ),
    _many("quotbal", "a quote that is never closed", ("To", b'"Mr. J. User <sip:j.user@@PBX@>'), answered=False),
    _many(
        "ltgtruri", "< and > around the address", start=b"INVITE <sip:0312340000@" + PBX + b"> SIP/2.0", answered=False
    ),
    _many(
        "lwsruri", "blanks within the address", start=b"INVITE sip:0312340000@" + PBX + b"; lr SIP/2.0", answered=False
    ),
    _many(
        "lwsstart",
        "several blanks in the first line",
        start=b"INVITE  sip:0312340000@" + PBX + b"  SIP/2.0",
        answered=False,
    ),
    _many("trws", "a blank behind the version", start=START + b"  ", answered=False),
    _many(
        "escruri",
        "headers in the address",
        start=b"INVITE sip:0312340000@" + PBX + b"?Route=%3Csip:example.com%3E SIP/2.0",
        answered=False,
    ),
    _many("baddate", "a time zone that is not GMT", more=b"Date: Fri, 01 Jan 2010 16:00:00 EST\r\n"),
    _many(
        "regbadct",
        "parameters of an address without < >",
        ("Contact", b"sip:user@@OWN@?Route=%3Csip:sip.example.com%3E"),
        answered=False,
    ),
    _many(
        "badaspec",
        "blanks within the addresses",
        ("To", b'"Watson, Thomas" < sip:t.watson@@PBX@ >'),
        ("From", b'"Bell, Alexander" <sip:a.g.bell@@OWN@> ;tag=@TAG@'),
        answered=False,
    ),
    _many(
        "baddn",
        "a display name that is no token and not quoted",
        ("From", b"Bell, Alexander <sip:a.g.bell@@OWN@>;tag=@TAG@"),
        answered=False,
    ),
    Torture(
        "badvers",
        "an unknown version of SIP",
        start=_other(b"INVITE").replace(b"SIP/2.0", b"SIP/7.0"),
        headers=(("Via", b"SIP/7.0/UDP @OWN@;branch=@BRANCH@"),),
        answered=False,
    ),
    _many(
        "mismatch01",
        "a method and another in the CSeq",
        ("CSeq", b"8 INVITE"),
        start=_other(b"OPTIONS"),
        answered=False,
    ),
    _many(
        "mismatch02",
        "an unknown method and another in the CSeq",
        ("CSeq", b"8 INVITE"),
        start=_other(b"NEWMETHOD"),
        answered=False,
    ),
    Torture(
        "bigcode",
        "a response of status 4294967301, to nobody",
        start=b"SIP/2.0 4294967301 better not break",
        answered=False,
    ),
    # 3.2: transactions
    _many(
        "badbranch",
        "a branch that is the cookie and no more",
        ("Via", b"SIP/2.0/UDP @OWN@;branch=z9hG4bK"),
        answered=False,
    ),
    # 3.3: applications
    Torture(
        "insuf", "no From, no To, no Call-ID", headers=(("From", None), ("To", None), ("Call-ID", None)), answered=False
    ),
    _many(
        "unkscm",
        "an unknown scheme",
        start=b"INVITE nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0",
        answered=False,
    ),
    _many(
        "novelsc",
        "a known scheme that is not SIP's",
        start=b"INVITE soap.beep://192.0.2.103:3002 SIP/2.0",
        answered=False,
    ),
    _many(
        "unksm2",
        "an unknown scheme in To and From",
        ("To", b"isbn:2983792873"),
        ("From", b"<http://www.example.com>;tag=@TAG@"),
        answered=False,
    ),
    _many(
        "bext01",
        "extensions that nobody knows are required",
        more=b"Require: nothingSupportsThis, nothingSupportsThisEither\r\nProxy-Require: noProxiesSupportThis\r\n",
    ),
    _many(
        "invut",
        "an unknown type of body",
        ("Content-Type", b"application/unknownformat"),
        body=b"<audio><pcmu/></audio>\r\n",
    ),
    _many(
        "regaut01",
        "an unknown scheme of authorisation",
        more=b"Authorization: NoOneKnowsThisScheme opaque-data=here\r\n",
        answered=False,
    ),
    _many(
        "multi01",
        "headers twice that may be there once",
        more=b"CSeq: 2 INVITE\r\nCall-ID: other@lab\r\nMax-Forwards: 5\r\n"
        b"From: <sip:other@@OWN@>;tag=x\r\nTo: <sip:o@@PBX@>\r\n",
        answered=False,
    ),
    _many("mcl01", "two Content-Lengths", more=b"Content-Length: 5\r\n", answered=False),
    Torture(
        "bcast",
        "a response whose Via is the broadcast address, to nobody",
        start=b"SIP/2.0 200 OK",
        headers=(("Via", b"SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23"),),
        answered=False,
    ),
    _many("zeromf", "Max-Forwards of 0", ("Max-Forwards", b"0")),
    _many("cparam01", "a parameter of the Contact that nobody knows", ("Contact", b"sip:caller@@OWN@;unknownparam")),
    _many(
        "cparam02",
        "a parameter of the Contact's address that nobody knows",
        ("Contact", b"<sip:caller@@OWN@;unknownparam>"),
    ),
    _many(
        "regescrt",
        "an escaped header in the Contact",
        ("Contact", b"<sip:user@@OWN@?Route=%3Csip:sip.example.com%3E>"),
        answered=False,
    ),
    _many("sdp01", "Accept of nothing that we speak", more=b"Accept: text/nobodyKnowsThis\r\n"),
    # 3.4: from before RFC 3261
    _many(
        "inv2543",
        "as RFC 2543 had it: no branch, no tag, no Max-Forwards, no Contact",
        ("Via", b"SIP/2.0/UDP @OWN@"),
        ("From", b"<sip:05012345678@@OWN@>"),
        ("Max-Forwards", None),
        ("Contact", None),
        length=None,
        answered=False,
    ),
]

EXTREMES: Final = [
    Torture(
        "empty",
        "nothing",
        start=b"",
        headers=tuple((name, None) for name in USUAL),
        length=None,
        body=b"",
        answered=False,
    ),
    Torture("garbage", "all octets", start=bytes(range(256)) * 8, answered=False),
    Torture("60 kB", "a header of sixty thousand octets", more=b"X-Long: " + b"x" * 60_000 + b"\r\n", answered=False),
    Torture("2000 headers", "two thousand headers", more=b"X-Many: 1\r\n" * 2000, answered=False),
    Torture(
        "folds", "a header folded a thousand times", more=b"X-Fold: a" + b"\r\n b" * 1000 + b"\r\n", answered=False
    ),
    Torture("routes", "a hundred Routes", more=b"Route: <sip:@PBX@;lr>\r\n" * 100, answered=False),
    Torture(
        "NUL",
        "a NUL in a header, unescaped",
        headers=(("From", b'"a\0b" <sip:05012345678@@OWN@>;tag=@TAG@'),),
        answered=False,
    ),
    Torture("sdp of lines", "a session of four thousand lines", body=sdp() + b"a=x:y\r\n" * 4000, answered=False),
    Torture("sdp of media", "two hundred media", body=sdp() + b"m=audio 4000 RTP/AVP 0\r\n" * 200, answered=False),
    Torture(
        "sdp of nonsense", "a session that is none", body=b"v=0\r\nm=\r\nc=\r\nm=audio 99999999999 RTP/AVP 999999\r\n"
    ),
]
"""What the RFC did not think of."""


def cut(message: bytes) -> list[bytes]:
    """The message cut off at the end of each of its first lines, and in the middle of each."""
    ends = [match.end() for match in re.finditer(rb"\r\n", message)][:8]
    return [message[:end] for end in ends] + [message[: end - 5] for end in ends]
