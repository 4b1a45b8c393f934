"""Torture messages, written from the descriptions in RFC 4475.

They are INVITEs if their fault allows that. `MARK`, `OWN`, `HOST` and `OVER` are filled in as in `invites`.
"""

from collections.abc import Sequence
from typing import Final

_BODY: Final = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
_LINES: Final[dict[str, bytes]] = {
    "Via": b"SIP/2.0/OVER OWN;branch=z9hG4bKMARK;rport",
    "Max-Forwards": b"70",
    "From": b"<sip:05012345678@OWN>;tag=MARK",
    "To": b"<sip:0312340000@HOST>",
    "Call-ID": b"MARK",
    "CSeq": b"1 INVITE",
    "Contact": b"<sip:attacker@OWN>",
    "Content-Type": b"application/sdp",
    "Content-Length": b"%d" % len(_BODY),
}


def _message(
    start: bytes = b"INVITE sip:i0312345678@HOST SIP/2.0",
    body: bytes = _BODY,
    more: Sequence[bytes] = (),
    without: Sequence[str] = (),
    **instead: bytes,
) -> bytes:
    """A message with changed headers (`Call_ID=…`), with the lines `more`, and without the headers `without`."""
    values = _LINES | {name.replace("_", "-"): value for name, value in instead.items()}
    if body is not _BODY and "Content_Length" not in instead:
        values["Content-Length"] = b"%d" % len(body)
    lines = [name.encode() + b": " + value for name, value in values.items() if name not in without]
    return b"\r\n".join([start, *lines, *more, b"", b""]) + body


_BOUNDARY: Final = b"7a9cbec02ceef655"
_SIGNED: Final = (
    b"--"
    + _BOUNDARY
    + b"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nHello\r\n--"
    + _BOUNDARY
    + b"\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    + bytes(range(256))
    + b"\r\n--"
    + _BOUNDARY
    + b"--\r\n"
)

MESSAGES: Final[dict[str, bytes]] = {
    # 3.1.1: valid
    "3.1.1.1 a short tortuous INVITE": (
        b"INVITE sip:i0312345678;unknownparam@HOST SIP/2.0\r\nTO :\r\n sip:0312340000@HOST ;   tag    = 1918181833n\r\n"
        b'from   : "J Rosenberg \\\\\\""       <sip:05012345678@OWN>\r\n  ;\r\n  tag = MARK\r\nMaX-fOrWaRdS: 0068\r\n'
        b"Call-ID: MARK\r\nCseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /OVER\r\n    OWN;branch=z9hG4bKMARK\r\n"
        b"s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
        b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\nRoute:\r\n <sip:HOST;lr;un"
        b"knownwith=value>\r\n"
        b'v:  SIP  / 2.0  / TCP     192.0.2.2   ;\r\n  branch  =   390skdjuw\r\nm:"Quoted string \\"\\"" <sip:at'
        b'tacker@OWN> ; newparam =\r\n'
        b"      newvalue ;\r\n  secondparam ; q = 0.33\r\nl: %d\r\n\r\n" % len(_BODY) + _BODY
    ),
    "3.1.1.2 a wide range of valid characters": _message(
        b"!interesting-Method0123456789_*+`.%indeed'~ sip:i1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+"
        b"has=1,weird!*pas$wo~d_too.(doesn't-it)@HOST SIP/2.0",
        From=b'=_"\x07 token1~` token2\'+_ token3*%!.- <sip:mundane@OWN>;fun\'w+e_y!.-tag*=MARK;tag=MARK',
        CSeq=b"139122385 !interesting-Method0123456789_*+`.%indeed'~",
        more=[b"extensionHeader-!.%*+_`'~: \xef\xbb\xbf\xe5\xa4\xa7\xe5\x81\x9c\xe9\x9b\xbb"],
    ),
    "3.1.1.3 valid escapes": _message(
        b"INVITE sip:sips%3Auser%40example.com@HOST SIP/2.0", To=b"<sip:%75se%72@HOST>",
        From=b"<sip:I%20have%20spaces@OWN>;tag=MARK",
        Contact=b"<sip:cal%6Cer@OWN;%6C%72;n%61me=v%61lue%25%34%31>",
    ),
    "3.1.1.4 escaped nulls": _message(
        b"INVITE sip:null-%00-null@HOST SIP/2.0", From=b"<sip:null-%00-null@OWN>;tag=MARK",
        To=b"<sip:null-%00-null@HOST>", Contact=b"<sip:%00@OWN>", more=[b"Contact: <sip:%00%00@OWN>"],
    ),
    "3.1.1.5 percent signs that are no escapes": _message(
        b"RE%47IST%45R sip:i0312345678@HOST SIP/2.0", From=b'"%Z%45" <sip:resource@OWN>;tag=MARK',
        CSeq=b"29344 RE%47IST%45R", Contact=b"<sip:alias1@OWN>",
    ),
    "3.1.1.6 no space between name and bracket": _message(From=b"caller<sip:05012345678@OWN>;tag=MARK"),
    "3.1.1.7 long values": _message(
        From=b'"I have a user name of ' + b"extreme" * 30 + b'proportion" <sip:' + b"a" * 200 + b"@OWN:6000;unkn"
        b"ownparam1="
        + b"v" * 200 + b">;tag=" + b"t" * 200 + b"MARK;unknownheaderparam" + b"n" * 200 + b"=x",
        Call_ID=b"MARK" + b"long" * 40, more=[b"Unknown-" + b"Long" * 20 + b"-Name: " + b"value " * 60] + [
            b"Via: SIP/2.0/TCP sip%d.example.com" % at for at in range(33, 0, -1)
        ],
    ),
    "3.1.1.8 octets behind the message": _message() + _message(Call_ID=b"MARKsecond"),
    "3.1.1.9 a semicolon in the user": _message(b"INVITE sip:i0312345678;par=u%40example.net@HOST SIP/2.0"),
    "3.1.1.10 many transports": _message(
        more=[b"Via: SIP/2.0/%s t%d.example.com;branch=z9hG4bK%d" % (name, at, at) for at, name in
              enumerate((b"SCTP", b"TLS", b"UNKNOWN", b"TCP", b"WSS"))],
    ),
    "3.1.1.11 a multipart body": _message(
        body=_SIGNED, Content_Type=b"multipart/mixed;boundary=" + _BOUNDARY,
    ),
    "3.1.1.12 a response with an unusual reason": (
        b"SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe \xd1\x81\xd1\x82\xd0\xbe\r\nVia: SIP/2.0/OVER HOST;branch=z"
        b"9hG4bKMARK\r\n"
        b"Call-ID: MARK\r\nCSeq: 35 INVITE\r\nFrom: <sip:a@OWN>;tag=MARK\r\nTo: <sip:b@HOST>;tag=x\r\nContact: <"
        b"sip:u@OWN>\r\n"
        b"Content-Length: 0\r\n\r\n"
    ),
    "3.1.1.13 a response without a reason": (
        b"SIP/2.0 100 \r\nVia: SIP/2.0/OVER HOST;branch=z9hG4bKMARK\r\nCall-ID: MARK\r\nCSeq: 35 INVITE\r\n"
        b"From: <sip:a@OWN>;tag=MARK\r\nTo: <sip:b@HOST>;tag=x\r\nContent-Length: 0\r\n\r\n"
    ),
    # 3.1.2: invalid
    "3.1.2.1 commas and semicolons too many": _message(
        Via=b"SIP/2.0/OVER OWN;branch=z9hG4bKMARK;;,;,,", To=b'"Mr. X" <sip:0312340000@HOST>;;;;',
        Contact=b'"Joe" <sip:joe@OWN>;;;;,,;,;,',
    ),
    "3.1.2.2 a length beyond the body": _message(Content_Length=b"9999"),
    "3.1.2.3 a negative length": _message(Content_Length=b"-999"),
    "3.1.2.4 numbers too large for a request": _message(
        CSeq=b"36893488147419103232 INVITE", Max_Forwards=b"300",
        Contact=b"<sip:u@OWN>;expires=280297596632815;q=1.5",
        more=[b"Expires: 10000000000000000000000000000000000000000"],
    ),
    "3.1.2.5 numbers too large for a response": (
        b"SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/OVER HOST;branch=z9hG4bKMARK\r\nCall-ID: MARK\r\n"
        b"CSeq: 9292394834772304023312 OPTIONS\r\nFrom: <sip:a@OWN>;tag=MARK\r\nTo: <sip:b@HOST>;tag=x\r\n"
        b"Retry-After: 949302838503028349304023988\r\nWarning: 1812 overture \"In Progress\"\r\nContent-Length: "
        b"0\r\n\r\n"
    ),
    "3.1.2.6 a quote that does not end": _message(To=b'"Mr. J. User <sip:0312340000@HOST>'),
    "3.1.2.7 brackets around the request's address": _message(b"INVITE <sip:i0312345678@HOST> SIP/2.0"),
    "3.1.2.8 spaces in the request's address": _message(b"INVITE sip:i0312345678@HOST; lr SIP/2.0"),
    "3.1.2.9 several spaces in the request line": _message(b"INVITE  sip:i0312345678@HOST  SIP/2.0"),
    "3.1.2.10 spaces behind the request line": _message(b"INVITE sip:i0312345678@HOST SIP/2.0  "),
    "3.1.2.11 escaped headers in the request's address": _message(b"INVITE sip:i0312345678@HOST?Route=%3Csip:exa"
    b"mple.com%3E SIP/2.0"),
    "3.1.2.12 a date of another zone": _message(more=[b"Date: Fri, 01 Jan 2010 16:00:00 EST"]),
    "3.1.2.13 an address with a comma, without brackets": _message(Contact=b"sip:user@OWN?Route=%3Csip:sip.examp"
    b"le.com%3E"),
    "3.1.2.14 spaces in an address": _message(To=b'"Watson, Thomas" < sip:t.watson@HOST >'),
    "3.1.2.15 a name that needs quotes": _message(From=b"Bell, Alexander <sip:a.g.bell@OWN>;tag=MARK"),
    "3.1.2.16 an unknown version": _message(b"INVITE sip:i0312345678@HOST SIP/7.0",
    Via=b"SIP/7.0/OVER OWN;branch=z9hG4bKMARK"),
    "3.1.2.17 another method in CSeq": _message(CSeq=b"8 BYE"),
    "3.1.2.18 an unknown method, and another in CSeq": _message(b"NEWMETHOD sip:i0312345678@HOST SIP/2.0",
    CSeq=b"8 INVITE"),
    "3.1.2.19 a status beyond all": (
        b"SIP/2.0 4294967301 better not break the receiver\r\nVia: SIP/2.0/OVER HOST;branch=z9hG4bKMARK\r\nCall-"
        b"ID: MARK\r\n"
        b"CSeq: 353494 INVITE\r\nFrom: <sip:a@OWN>;tag=MARK\r\nTo: <sip:b@HOST>;tag=x\r\nContent-Length: 0\r\n\r\n"
    ),
    # 3.2 and 3.3: what the transaction and the application must judge
    "3.2.1 a branch without its rest": _message(Via=b"SIP/2.0/OVER OWN;branch=z9hG4bK"),
    "3.3.1 mandatory headers missing": _message(without=("From", "To", "Call-ID")),
    "3.3.2 an unknown scheme": _message(b"INVITE nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"),
    "3.3.3 a known scheme that is not SIP's": _message(b"INVITE soap.beep://192.0.2.103:3002 SIP/2.0"),
    "3.3.4 unknown schemes in headers": _message(To=b"isbn:2983792873", From=b"<http://www.example.com>;tag=MARK",
    Contact=b"<name:John_Smith>"),
    "3.3.5 unknown extensions required": _message(more=[b"Require: nothingSupportsThis, nothingSupportsThisEither",
    b"Proxy-Require: noProxiesSupportThis"]),
    "3.3.6 an unknown type of content": _message(Content_Type=b"application/unknownformat",
    body=b"<audio>\r\n <pcmu port=\"443\"/>\r\n</audio>\r\n"),
    "3.3.7 an unknown way to authorise": _message(more=[b"Authorization: NoOneKnowsThisScheme opaque-data=here"]),
    "3.3.8 one header several times": _message(
        more=[b"CSeq: 59 INVITE", b"Call-ID: MARKb", b"From: <sip:other@OWN>;tag=2", b"To: sip:other@HOST",
        b"Max-Forwards: 5",
              b"Contact: <sip:a@OWN>"],
    ),
    "3.3.9 two lengths": _message(more=[b"Content-Length: 1"]),
    "3.3.10 a 200 to a broadcast address": (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/OVER HOST;branch=z9hG4bKMARK\r\nVia: SIP/2.0/UDP 255.255.255.255;branch"
        b"=z9hG4bK1saber23\r\n"
        b"Call-ID: MARK\r\nCSeq: 8 INVITE\r\nFrom: <sip:a@OWN>;tag=MARK\r\nTo: <sip:b@HOST>;tag=x\r\nContact: <s"
        b"ip:u@255.255.255.255>\r\n"
        b"Content-Length: 0\r\n\r\n"
    ),
    "3.3.11 Max-Forwards of 0": _message(Max_Forwards=b"0"),
    "3.3.12 a Contact with a parameter": _message(b"REGISTER sip:HOST SIP/2.0", CSeq=b"1 REGISTER",
    Contact=b"sip:+19725552222@OWN;unknownparam"),
    "3.3.13 a Contact in brackets with a parameter": _message(b"REGISTER sip:HOST SIP/2.0", CSeq=b"1 REGISTER",
    Contact=b"<sip:+19725552222@OWN;unknownparam>"),
    "3.3.14 a Contact with escaped headers": _message(
        b"REGISTER sip:HOST SIP/2.0", CSeq=b"1 REGISTER", Contact=b"<sip:user@OWN?Route=%3Csip:sip.example.com%3E>"),
    "3.3.15 a body that is not accepted": _message(more=[b"Accept: text/nobodyKnowsThis"]),
    "3.4 an INVITE of RFC 2543": _message(
        Via=b"SIP/2.0/OVER OWN", without=("Max-Forwards", "Contact", "CSeq"), more=[b"CSeq: 1 INVITE",
        b"Record-Route: <sip:HOST>"],
    ),
}  # fmt: skip
"""Section and subject in the RFC → the message."""
