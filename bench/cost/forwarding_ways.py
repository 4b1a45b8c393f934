"""The compared ways to forward a call, in one dialplan."""

from enum import StrEnum
from typing import Final

SOUND: Final = "sample"


class Way(StrEnum):
    """A way of forwarding a call.

    `called` and `both` are the parties that hear the sound. `ari` and `agi` are the interfaces to the service.
    """

    DIAL = "dial"
    """Dial() alone: no sound."""
    NATIVE = "native"
    """Asterisk's own Dial(…,A(file)): no licence, no evidence."""
    STASIS = "stasis"
    """NATIVE after a Stasis() that an application answers at once."""
    EMPTY_U = "empty-u"
    """NATIVE with a U() that only returns."""
    FLOOR = "floor"
    """NATIVE with both the Stasis() and the U(): the cost of an empty hook of the same shape."""
    ARI_CALLED = "ari-called"
    AGI_CALLED = "agi-called"
    ARI_BOTH = "ari-both"
    AGI_BOTH = "agi-both"
    BY_HTTP = "by-http"
    """An ARI application that controls both legs itself, over HTTP, as most are written: no licence, no evidence."""

    @property
    def uses_hook(self) -> bool:
        return self.value[:4] in ("ari-", "agi-")

    @property
    def has_sound(self) -> bool:
        return self is not Way.DIAL


COMPARED: Final = tuple(way for way in Way if way not in (Way.STASIS, Way.EMPTY_U))
"""The ways of `make bench`. The two halves of FLOOR are only in `make bench-profile`."""
REFERENCE: Final = "bench-reference"
"""The application of BY_HTTP."""
ANSWERER: Final = "bench-answerer"
"""The application of STASIS and FLOOR. The channel continues at the extension that is the argument of Stasis()."""
ANSWERED_BY_REFERENCE: Final = (Way.BY_HTTP, Way.STASIS, Way.FLOOR)
"""The ways whose application is `reference_applications`, not the service."""
NOTIFY: Final = "notify: {incoming: called, outgoing: both}"
"""The service's policy `notify`: the direction of a call chooses the parties that hear the sound."""


_EMPTY: Final = "bench-empty"


def _floor(way: Way, options: str) -> str:
    dial = f"Dial(${{PHONE}},,gA(${{IDTONE_SOUNDS}}/{SOUND}){options})\n same = n,Hangup(${{HANGUPCAUSE}})\n"
    if way is Way.EMPTY_U:
        return f"exten = {way},1,{dial}"
    return f"exten = {way},1,Stasis({ANSWERER},{way}-on)\n same = n,Hangup()\nexten = {way}-on,1,{dial}"


def _hook(way: Way) -> str:
    interface, _, notify = way.partition("-")
    direction = "incoming" if notify == "called" else "outgoing"
    return (
        f"exten = {way},1,Set(IDTONE_INTERFACE={interface})\n"
        f" same = n,Gosub(idtone-forward,s,1(${{PHONE}},${{NUMBER}},{direction}))\n"
        " same = n,Hangup(${IDTONE_CAUSE})\n"
    )


EXTENSIONS: Final = (
    "#include idtone.conf\n"
    "[from-lab]\n"
    "; WAY*NUMBER*PORT*CALL, from SIPp.\n"
    "exten = _[a-z].,1,Set(NUMBER=${CUT(EXTEN,*,2)})\n"
    " same = n,Set(PHONE=PJSIP/lab/sip:${NUMBER}@127.0.0.1:${CUT(EXTEN,*,3)}\\;lab=${CUT(EXTEN,*,4)})\n"
    " same = n,Goto(${CUT(EXTEN,*,1)},1)\n"
    f"exten = {Way.DIAL},1,Dial(${{PHONE}},,g)\n"
    " same = n,Hangup(${HANGUPCAUSE})\n"
    f"exten = {Way.NATIVE},1,Dial(${{PHONE}},,gA(${{IDTONE_SOUNDS}}/{SOUND}))\n"
    " same = n,Hangup(${HANGUPCAUSE})\n"
    + _floor(Way.STASIS, "")
    + _floor(Way.EMPTY_U, f"U({_EMPTY})")
    + _floor(Way.FLOOR, f"U({_EMPTY})")
    + f"exten = {Way.BY_HTTP},1,Stasis({REFERENCE},caller,${{PHONE}})\n"
    " same = n,Hangup()\n" + "".join(_hook(way) for way in Way if way.uses_hook) + f"[{_EMPTY}]\nexten = s,1,Return()\n"
)
"""The text of extensions.conf."""
