"""The hook's regular expressions for telephone numbers and the service's rule for emergency calls.

The expressions are POSIX extended regular expressions, for text that `idtone-narrow` has converted to ASCII.
`idtone.core.numbers` reads the same forms, and the tests run the same table through both.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

_S: Final = "[-().[:space:]]*"
_SCHEME: Final = "([Tt][Ee][Ll]:|[Ss][Ii][Pp][Ss]?:)?"
_BEGIN: Final = f"{_S}<?{_S}{_SCHEME}{_S}"
_EMERGENCY: Final = f"{_BEGIN}(([+]|0{_S}0|0{_S}1{_S}0){_S}8{_S}1{_S})?(1{_S}8{_S}[46]{_S})?1{_S}1{_S}[089]{_S}(#{_S})?"
"""`110`, `1-1-9`, `(118)`, `184110`, `+81110`, `tel:110`, `110#`, `<sip:119`."""
_REST: Final = rf"(;([^-+().[:space:]0-9&/<,][^&/<,]*)?|@[^&/<,]*|>{_S}(;[^&/<,]*)?)?"
"""A host or parameters after a number."""
_PARAMETERS: Final = "(;([^-+().[:space:]0-9&/<,@][^&/<,@]*)?)?"
SUBSCRIBER: Final = "([25-9]0[0-9]{8}|(1[1-9]|[34][0-9]|[25-9][1-9])[0-9]{7})"
JAPANESE: Final = f"^((18[46])?([+]|010|00)?810?|(18[46])?0|){SUBSCRIBER}$"
PLAIN: Final = "^((10 0|11 81|12 [+]81)(1[1-9]|[34][0-9]|[25-9][1-9])|(11 0|12 81|13 [+]81)[25-9]0)[0-9]*$"
ABROAD: Final = "^(18[46])?([+]|010)([1-79]|8[02-9])[0-9]{6,14}$"
"""Patterns as in `idtone.core.numbers`, on digits and +. PLAIN is a Japanese number in a form that a trunk accepts,
after its length and a blank, because a pattern that counts the digits takes twice as long.
"""


_OTHER: Final = "([A-KM-Za-km-z0-9][A-Za-z0-9]*/|[Ii][Aa][Xx]2/[^&/@,]*@)"
"""A technology other than Local, which is the only name that begins with L. IAX2 can have a user before the resource.
"""


def _destination(trunks: str, local: str) -> str:
    """Regular expression for a destination on a trunk that dials an emergency number.

    `local` is `?` if Local channels need no context.
    """
    pjsip = rf"([Pp][Jj])?[Ss][Ii][Pp]/{_EMERGENCY}{_PARAMETERS}@{trunks}"
    other = rf"{_OTHER}{trunks}/{_EMERGENCY}{_REST}"
    through = rf"[Ll][Oo][Cc][Aa][Ll]/{_EMERGENCY}{_PARAMETERS}(@{trunks}){local}(/[A-Za-z]*)?"
    return f"({pjsip}|{other}|{through})"


WITHHELD: Final = ("anonymous", "unavailable", "restricted", "private", "unknown", "p", "o", "c", "s")
"""The same as in `idtone.core.numbers`."""


def _withheld() -> str:
    either = ("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in WITHHELD)
    return f"^{_BEGIN}({'|'.join(either)}|){_S}{_REST}$"


_TRUNK: Final = "${IDTONE_EMERGENCY_TRUNKS}"


def patterns(emergency_trunks: tuple[str, ...]) -> dict[str, str]:
    """Regular expressions by their placeholders in the hook."""
    local = "?" if not emergency_trunks or _DEFAULT_CONTEXT in emergency_trunks else ""
    one = _destination(_TRUNK, local)
    single = rf"^(([Pp][Jj])?[Ss][Ii][Pp]/[^&/@,]*@{_TRUNK}|{_OTHER}{_TRUNK}/[^&/,]*"
    single += rf"|[Ll][Oo][Cc][Aa][Ll]/[^&/@,]*(@{_TRUNK}){local}(/[A-Za-z]*)?)$"
    found = {
        "@PERHAPS_EMERGENCY@": f"[^ -~]|/{_EMERGENCY}([@;>&/]|$)",
        "@EMERGENCY@": f"^{_EMERGENCY}{_REST}$",
        "@EMERGENCY_DIALLED@": f"^({one}&)*{one}$",
        "@ONE_TRUNK@": single,
        "@NUMBER@": rf"^{_BEGIN}[-+().[:space:]0-9]*{_REST}$",
        "@JAPANESE@": JAPANESE,
        "@PLAIN@": PLAIN,
        "@ABROAD@": ABROAD,
        "@COMPLETE@": COMPLETE,
        "@WITHHELD@": _withheld(),
    }
    return {name: pattern.replace(";", "\\;") for name, pattern in found.items()}


_DEFAULT_CONTEXT: Final = "default"
"""Context of a Local channel that names none."""
COMPLETE: Final = "/([^0-9@;&/]*[0-9]){9}"
"""A destination with a complete telephone number."""
_DESTINATION: Final = re.compile(
    r"(?:pj)?sip/(?P<user>[^,/@]*)@(?P<endpoint>[^,/@]+)"
    r"|(?:iax2/[^,/@]*@|[a-km-z0-9][a-z0-9]*/)(?P<resource>[^,/@]+)/(?P<number>[^,/]*)"
    r"|local/(?P<extension>[^,/@]*)(?:@(?P<context>[^,/@]+))?(?:/[a-z]*)?",
    re.IGNORECASE | re.ASCII,
)
"""`PJSIP/110@trunk`, `PJSIP/trunk/sip:110@host`, `DAHDI/g0/110`, `IAX2/member@trunk/110`, `Local/110@context/n`; not
`PJSIP/119`, which is an extension.
"""


def is_emergency_call(
    dial_string: str, called: str, trunks: Sequence[str], is_emergency: Callable[[str], bool], own_dial: bool = False
) -> bool:
    """True if every destination of the dial string is on one of the trunks and dials an emergency number.

    For a single destination on one of the trunks, the called number also counts. With parameters or under the
    operator's own Dial(), a caller can forge the called number, so it does not count if another complete number is
    dialled. An empty `trunks` means all trunks. The texts must be ASCII. `is_emergency` examines one number.
    """
    users = []
    for destination in dial_string.split("&"):
        match = _DESTINATION.fullmatch(destination)
        if not match:
            return False
        user, endpoint, resource, number, extension, context = match.groups()
        if trunks and (endpoint or resource or context or _DEFAULT_CONTEXT) not in trunks:
            return False
        users.append(user or number or extension or "")
    if all(map(is_emergency, users)):
        return True
    if len(users) > 1 or not is_emergency(called):
        return False
    forgeable = own_dial or any(each in called for each in "@;>")
    return not (forgeable and re.search(COMPLETE, dial_string))


_NARROW: Final = (
    {chr(code + 0xFEE0): chr(code) for code in map(ord, "0123456789+@;:/&<>#.-TELSIPtelsip")}
    | dict.fromkeys("（）\u3000\u00a0", ".")
    | dict.fromkeys("‐‑‒–—―−ーｰ", "-")
    | dict.fromkeys(
        "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
        "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff",
        "",
    )
)
"""Full-width characters, separators (all equal) and zero-width marks → ASCII."""
NARROWING: Final = "\n".join(
    f" same = n,Set(IDTONE_TEXT=${{STRREPLACE(IDTONE_TEXT,${{URIDECODE({quote(wide)})}},{narrow})}})"
    for wide, narrow in _NARROW.items()
).replace(";", "\\;")
"""Expressions for this conversion. Their characters are escaped, because some are invisible."""
