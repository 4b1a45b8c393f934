"""The situations of the phones bench.

Each situation has its phones, the devices between them and the PBX, and the events of the call.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lab.g711 import Samples
from lab.incoming_call import IncomingCall
from lab.phone import Answer, Behaviour, EarlyMedia
from lab.phones.network_devices import AnnouncedAddress, LossyNetwork, MediaPath
from lab.phones.pbx import REGISTERED
from lab.phones.program import PhoneProperties
from lab.phones.rtpengine import Rtpengine

SILENCE: Final[Samples] = np.full(800, 8, np.int16)
"""A signal of one codec step: as quiet as silence, so that only the sound is loud at a phone."""
ELSEWHERE: Final = "127.0.0.9"
"""The address that a phone behind NAT announces. Nothing listens there."""
OWN: Final = "lab"
LONG_S: Final = 7.0
"""Seconds of a call in which each phone sends a report (RTCP) on the time after the sound. Reports come every five
seconds.
"""

PLAIN: Final = PhoneProperties()
ANSWERING: Final = Answer(after_ms=20)

BetweenFactory = Callable[[Path], MediaPath]


@dataclass(frozen=True, eq=False)
class Situation:
    """A situation in which phones are called.

    `what` and `japanese` describe it in the tables. `phone` and `caller` are kinds of `trial_calls.KINDS`.
    """

    what: str
    japanese: str
    phone: str = OWN
    wanted: PhoneProperties = PLAIN
    endpoint: str = "phone"
    hears: str = "called"
    caller: str = OWN
    caller_wanted: PhoneProperties = PLAIN
    caller_endpoint: str = "phone"
    between: BetweenFactory | None = None
    during: str = ""
    """The fault of rtpengine at the answer: `freeze` or `kill`."""
    way: str = "hook"
    talk_s: float = 0.5
    astray: bool = False
    nat: bool = False
    behaviour: Behaviour = ANSWERING
    announced: str = ""
    """The address that the lab's own phone announces."""
    reports_s: float | None = None
    hangs_up: bool = False
    """True if the called phone hangs up before the call is connected."""
    lacking: str = ""
    """The reason why this machine cannot try the situation; empty if it can."""
    caller_offers: str = "sendrecv"
    """The media direction in the caller's offer; empty if the INVITE has no offer."""
    caller_silent: bool = False
    """True if the caller sends nothing."""

    @property
    def is_exclusive(self) -> bool:
        """True if no other situation may run at the same time.

        The lab could not tell their calls apart, or two phones would register as one.
        """
        return self.way != "hook" or bool({self.endpoint, self.caller_endpoint} & {*REGISTERED})


# -- what the lab's own phones do -----------------------------------------------------------------------------------


def holding(after_ms: int, for_ms: int, early_ms: int) -> Callable[[IncomingCall], Awaitable[None]]:
    """A called phone with early media that puts the call on hold in the middle of the sound."""

    async def behave(call: IncomingCall) -> None:
        call.progress(SILENCE)
        await asyncio.sleep(early_ms / 1000)
        call.answer()
        await asyncio.sleep(after_ms / 1000)
        await call.reinvite("inactive")
        await asyncio.sleep(for_ms / 1000)
        await call.reinvite("sendrecv")

    return behave


def just_before(before_ms: int, signalled: bool) -> Callable[[IncomingCall], Awaitable[None]]:
    """A called phone that sends media from `before_ms` before its answer, after a 183 if `signalled`."""

    async def behave(call: IncomingCall) -> None:
        if signalled:
            call.progress(SILENCE)
        else:
            call.speak_first()
        await asyncio.sleep(before_ms / 1000)
        call.answer()

    return behave


async def silent(call: IncomingCall) -> None:
    """Answer a call, and send no media."""
    call.stream.quiet = True
    call.answer()


def watched(_: Path) -> MediaPath:
    return LossyNetwork(0)


def watched_behind_nat(_: Path) -> MediaPath:
    return LossyNetwork(0, ELSEWHERE)


def closed(_: Path) -> MediaPath:
    return AnnouncedAddress(port=9)


def elsewhere(_: Path) -> MediaPath:
    return AnnouncedAddress(host=ELSEWHERE)


def first_elsewhere(_: Path) -> MediaPath:
    return AnnouncedAddress(port=9, early=True)


def losing(percent: int) -> BetweenFactory:
    return lambda _: LossyNetwork(percent)


def rtpengine(folder: Path) -> MediaPath:
    return Rtpengine(folder)


def behind_rtpengine(folder: Path) -> MediaPath:
    return Rtpengine(folder, announced=ELSEWHERE)


# -- the table ------------------------------------------------------------------------------------------------------

_TCP, _TLS = PhoneProperties(transport="tcp"), PhoneProperties(transport="tls")
_SDES, _DTLS, _ICE = PhoneProperties(srtp="sdes"), PhoneProperties(srtp="dtls"), PhoneProperties(ice=True)
_NAT = PhoneProperties(announced=ELSEWHERE)


def _codecs(phone: str, *codecs: str) -> list[Situation]:
    return [
        Situation(f"{codec}, UDP", f"{codec}、UDP", phone, PhoneProperties(codec=codec), between=watched)
        for codec in codecs
    ]


SITUATIONS: Final = (
    *_codecs("pjsua2", "PCMU", "PCMA", "G722", "GSM"),
    Situation("TCP", "TCP", "pjsua2", _TCP),
    Situation("TLS, SDES", "TLS、SDES", "pjsua2", _TLS.but(srtp="sdes"), "phone-sdes"),
    Situation("DTLS-SRTP", "DTLS-SRTP", "pjsua2", _DTLS, "phone-dtls", lacking="the package was built without DTLS"),
    Situation("ICE", "ICE", "pjsua2", _ICE, "phone-ice"),
    Situation("packets of 30 ms", "30 ms のパケット", "pjsua2", endpoint="phone-30", between=watched),
    Situation("packets of 40 ms", "40 ms のパケット", "pjsua2", endpoint="phone-40", between=watched),
    Situation("it reports (RTCP)", "RTCP で報告する", "pjsua2", between=watched, talk_s=LONG_S),
    Situation("behind NAT", "NAT の内側", "pjsua2", endpoint="phone-nat", between=watched_behind_nat, nat=True),
    Situation("behind NAT, TCP", "NAT の内側、TCP", "pjsua2", _NAT.but(transport="tcp"), "phone-nat", nat=True),
    Situation("behind NAT, SDES", "NAT の内側、SDES", "pjsua2", _NAT.but(srtp="sdes"), "phone-nat-sdes", nat=True),
    Situation(
        "behind NAT, it reports",
        "NAT の内側、RTCP で報告",
        "pjsua2",
        endpoint="phone-nat",
        between=watched_behind_nat,
        talk_s=LONG_S,
        nat=True,
    ),
    Situation(
        "behind NAT, own Dial()",
        "NAT の内側、自前の Dial()",
        "pjsua2",
        endpoint="phone-nat",
        between=watched_behind_nat,
        way="own-dial",
        nat=True,
    ),
    Situation(
        "behind NAT, early media",
        "NAT の内側、アーリーメディア",
        "pjsua2",
        PhoneProperties(early_ms=300),
        "phone-nat",
        between=watched_behind_nat,
        nat=True,
    ),
    Situation(
        "behind NAT, silent",
        "NAT の内側、無送信",
        endpoint="phone-nat",
        behaviour=silent,
        announced=ELSEWHERE,
        astray=True,
    ),
    Situation("behind NAT, no rtp_symmetric", "NAT の内側、rtp_symmetric なし", "pjsua2", _NAT, astray=True),
    Situation("early media", "アーリーメディア", "pjsua2", PhoneProperties(early_ms=300), between=watched),
    Situation(
        "hold during the sound", "鳴動中の保留", "pjsua2", PhoneProperties(hold=((120, True), (360, False))), talk_s=1.5
    ),
    Situation("own Dial()", "自前の Dial()", "pjsua2", way="own-dial", between=watched),
    Situation("loss of 5 %", "損失 5 %", "pjsua2", between=losing(5), astray=True),
    Situation("loss of 30 %", "損失 30 %", "pjsua2", between=losing(30), astray=True),
    Situation(
        "loss of 5 %, it reports", "損失 5 %、RTCP で報告", "pjsua2", between=losing(5), astray=True, talk_s=LONG_S
    ),
    Situation("closed port", "閉じたポート", "pjsua2", between=closed, astray=True),
    Situation(
        "wrong address, it reports",
        "誤ったアドレス、RTCP で報告",
        "pjsua2",
        between=elsewhere,
        astray=True,
        talk_s=LONG_S,
    ),
    Situation(
        "183 with port A, 200 with port B",
        "183 はポート A、200 はポート B",
        "pjsua2",
        PhoneProperties(early_ms=300),
        between=first_elsewhere,
        astray=True,
    ),
    Situation("sound for the caller", "発信側への音", caller="pjsua2", hears="caller"),
    Situation("sound for both", "両者への音", "pjsua2", caller="pjsua2", hears="both"),
    Situation(
        "sound for both, TLS, SDES",
        "両者への音、TLS、SDES",
        "pjsua2",
        _TLS.but(srtp="sdes"),
        "phone-sdes",
        caller="pjsua2",
        caller_wanted=_TLS.but(srtp="sdes"),
        caller_endpoint="phone-sdes",
        hears="both",
    ),
    Situation(
        "sound for both, behind NAT",
        "両者への音、NAT の内側",
        "pjsua2",
        endpoint="phone-nat",
        caller="pjsua2",
        caller_wanted=_NAT,
        caller_endpoint="phone-nat",
        hears="both",
        between=watched_behind_nat,
        talk_s=1.0,
        nat=True,
    ),
    Situation(
        "sound for both, caller behind NAT, answered after 300 ms",
        "両者への音、NAT の内側の発信側、300 ms 後の応答",
        caller="pjsua2",
        caller_wanted=_NAT,
        caller_endpoint="phone-nat",
        hears="both",
        behaviour=Answer(after_ms=300),
    ),
    Situation(
        "sound for both, rtp_symmetric without NAT",
        "両者への音、NAT のない rtp_symmetric",
        "pjsua2",
        endpoint="phone-nat",
        caller="pjsua2",
        hears="both",
    ),
    *_codecs("baresip", "PCMU", "PCMA", "G722", "opus"),
    Situation("TCP", "TCP", "baresip", _TCP),
    Situation("TLS, SDES", "TLS、SDES", "baresip", _TLS.but(srtp="sdes"), "phone-sdes"),
    Situation("DTLS-SRTP", "DTLS-SRTP", "baresip", _DTLS, "phone-dtls"),
    Situation(
        "behind NAT, DTLS-SRTP", "NAT の内側、DTLS-SRTP", "baresip", _DTLS, "phone-dtls", between=elsewhere, nat=True
    ),
    Situation("it reports (RTCP)", "RTCP で報告する", "baresip", between=watched, talk_s=LONG_S),
    Situation("behind NAT", "NAT の内側", "baresip", endpoint="phone-nat", between=watched_behind_nat, nat=True),
    Situation("loss of 5 %", "損失 5 %", "baresip", between=losing(5), astray=True),
    Situation("sound for both", "両者への音", "baresip", caller="baresip", hears="both"),
    *_codecs("linphone", "PCMU", "PCMA", "G722", "GSM", "opus"),
    Situation("TCP", "TCP", "linphone", _TCP),
    Situation("SDES", "SDES", "linphone", _SDES, "phone-sdes"),
    Situation("it reports (RTCP)", "RTCP で報告する", "linphone", between=watched, talk_s=LONG_S),
    Situation("behind NAT", "NAT の内側", "linphone", endpoint="phone-nat", between=watched_behind_nat, nat=True),
    Situation("loss of 5 %", "損失 5 %", "linphone", between=losing(5), astray=True),
    Situation("sound for both", "両者への音", "linphone", caller="linphone", hears="both"),
    Situation("WebRTC, Opus", "WebRTC、Opus", "aiortc", PhoneProperties(codec="opus", ice=True, srtp="dtls"), "webrtc"),
    Situation("WebRTC, PCMU", "WebRTC、PCMU", "aiortc", PhoneProperties(ice=True, srtp="dtls"), "webrtc-ulaw"),
    Situation(
        "WebRTC, sound for both",
        "WebRTC、両者への音",
        caller="aiortc",
        caller_wanted=PhoneProperties(codec="opus"),
        caller_endpoint="webrtc",
        hears="both",
    ),
    Situation(
        "WebRTC in Chromium (JsSIP)", "Chromium の WebRTC(JsSIP)", "chromium", PhoneProperties(codec="opus"), "webrtc"
    ),
    Situation(
        "WebRTC in Chromium (JsSIP), sound for both",
        "Chromium の WebRTC(JsSIP)、両者への音",
        caller="chromium",
        caller_wanted=PhoneProperties(codec="opus"),
        caller_endpoint="webrtc",
        hears="both",
    ),
    Situation("rtpengine in between", "rtpengine を経由", "pjsua2", between=rtpengine),
    Situation(
        "rtpengine in between, behind NAT",
        "rtpengine を経由、NAT の内側",
        "pjsua2",
        between=behind_rtpengine,
        astray=True,
    ),
    Situation(
        "rtpengine in between, behind NAT, silent",
        "rtpengine を経由、NAT の内側、無送信",
        behaviour=silent,
        between=behind_rtpengine,
        astray=True,
    ),
    Situation("rtpengine freezes", "rtpengine の凍結", "pjsua2", between=rtpengine, during="freeze", astray=True),
    Situation("rtpengine is killed", "rtpengine の強制終了", "pjsua2", between=rtpengine, during="kill", astray=True),
    Situation(
        "it hangs up at the end of the sound",
        "音の終わりで切断",
        behaviour=Answer(after_ms=20, hangup_after_ms=437),
        hangs_up=True,
    ),
    Situation(
        "early media, then hold for 80 ms",
        "アーリーメディアの後 80 ms 保留",
        behaviour=holding(120, 80, early_ms=300),
        talk_s=1.5,
    ),
    Situation(
        "early media, then hold for 240 ms",
        "アーリーメディアの後 240 ms 保留",
        behaviour=holding(120, 240, early_ms=300),
        talk_s=1.5,
    ),
    Situation(
        "sound for both, early media", "両者への音、アーリーメディア", hears="both", behaviour=EarlyMedia(SILENCE, 300)
    ),
    Situation(
        "sound for both, behind NAT, early media of 60 ms, silent caller",
        "両者への音、NAT の内側、60 ms のアーリーメディア、無送信の発信側",
        endpoint="phone-nat",
        behaviour=just_before(60, signalled=True),
        announced=ELSEWHERE,
        hears="both",
        caller_silent=True,
    ),
    Situation(
        "sound for both, behind NAT, media 40 ms before the answer",
        "両者への音、NAT の内側、応答の 40 ms 前からのメディア",
        endpoint="phone-nat",
        behaviour=just_before(40, signalled=False),
        announced=ELSEWHERE,
        hears="both",
        astray=True,
    ),
    Situation(
        "sound for both, early media of 80 ms, then hold for 80 ms",
        "両者への音、80 ms のアーリーメディアの後 80 ms 保留",
        hears="both",
        behaviour=holding(120, 80, early_ms=80),
        talk_s=1.5,
    ),
    Situation(
        "late offer, sound for the caller", "遅延オファー、発信側への音", hears="caller", caller_offers="", astray=True
    ),
    Situation(
        "a=inactive, sound for the caller",
        "a=inactive、発信側への音",
        hears="caller",
        caller_offers="inactive",
        astray=True,
    ),
    Situation(
        "attended transfer during the sound",
        "再生中の取次転送",
        behaviour=Answer(after_ms=20),
        during="transfer",
        talk_s=1.5,
    ),
    Situation("SIPp", "SIPp", "sipp"),
)
