"""A PJSUA2 phone, as a process of a separate Python: `pjsua_process.py SETTINGS`. SETTINGS is a JSON file.

It writes JSON lines: `ready`, then `incoming`, `answered`, `connected` and `ended` with the call's number. It reads the
lines `call URI`, `hangup` and `quit`. It records call n as `n.wav`. It needs only the package pjsua2-python.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pjsua2 as pj  # type: ignore[import-not-found]

SETTINGS: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
FOLDER = Path(SETTINGS["folder"])
MANDATORY, SDES, DTLS = 2, 0, 1


def tell(what: str, number: int | None = None, **more: Any) -> None:
    print(json.dumps({"what": what, "call": number, **more}), flush=True)


class Phone:
    """The endpoint, its account and its calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.due: list[tuple[float, Any]] = []
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.logConfig.filename, config.logConfig.level = str(FOLDER / "log"), 4
        config.medConfig.clockRate = SETTINGS["rate_hz"]
        config.medConfig.noVad, config.medConfig.ecTailLen = True, 0
        self.endpoint.libInit(config)
        self.transport()
        self.endpoint.audDevManager().setNullDev()
        self.endpoint.libStart()
        for codec in self.endpoint.codecEnum2():
            chosen = codec.codecId.lower().startswith(SETTINGS["codec"].lower())
            self.endpoint.codecSetPriority(codec.codecId, 255 if chosen else 0)
        if not any(each.priority for each in self.endpoint.codecEnum2()):
            raise SystemExit(
                f"no codec {SETTINGS['codec']} among {[each.codecId for each in self.endpoint.codecEnum2()]}"
            )
        self.account = Account(self)
        self.account.create(self.account_config())
        self.player = pj.AudioMediaPlayer()
        self.player.createPlayer(SETTINGS["voice"])

    def transport(self) -> None:
        config = pj.TransportConfig()
        config.port, config.boundAddress = SETTINGS["port"], "127.0.0.1"
        kinds = {
            "udp": pj.PJSIP_TRANSPORT_UDP,
            "tcp": pj.PJSIP_TRANSPORT_TCP,
            "tls": pj.PJSIP_TRANSPORT_TLS,
        }
        if SETTINGS["transport"] == "tls":
            config.tlsConfig.certFile = config.tlsConfig.privKeyFile = SETTINGS["certificate"]
        self.endpoint.transportCreate(kinds[SETTINGS["transport"]], config)

    def account_config(self) -> Any:
        config = pj.AccountConfig()
        suffix = "" if SETTINGS["transport"] == "udp" else f";transport={SETTINGS['transport']}"
        config.idUri = f"sip:{SETTINGS['user']}@127.0.0.1:{SETTINGS['port']}{suffix}"
        media = config.mediaConfig
        media.transportConfig.boundAddress, media.transportConfig.port = (
            SETTINGS["media"],
            SETTINGS["rtp_port"],
        )
        if SETTINGS["announced"]:
            media.transportConfig.publicAddress = SETTINGS["announced"]
        if SETTINGS["srtp"]:
            media.srtpUse, media.srtpSecureSignaling = MANDATORY, 0
            keyings = pj.IntVector()
            keyings.append(DTLS if SETTINGS["srtp"] == "dtls" else SDES)
            media.srtpOpt.keyings = keyings
        config.natConfig.iceEnabled = SETTINGS["ice"]
        return config

    def later(self, after_ms: float, do: Any) -> None:
        self.due.append((time.monotonic() + after_ms / 1000, do))

    def run(self, lines: queue.Queue[str]) -> None:
        while True:
            self.endpoint.libHandleEvents(5)
            now_s = time.monotonic()
            for at in [each for each in self.due if each[0] <= now_s]:
                self.due.remove(at)
                try:
                    at[1]()
                except pj.Error as error:
                    tell("error", why=error.info())
            while not lines.empty():
                word, _, rest = lines.get().strip().partition(" ")
                if word == "quit":
                    return
                if word == "call":
                    Call(self, self.account).dial(rest)
                elif word == "hangup":
                    for call in self.calls:
                        call.leave()


class Account(pj.Account):  # type: ignore[misc]
    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self.phone = phone

    def onIncomingCall(self, given: Any) -> None:
        Call(self.phone, self, given.callId).ring()


class Call(pj.Call):  # type: ignore[misc]
    def __init__(self, phone: Phone, account: Account, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, call_id)
        self.phone, self.number = phone, len(phone.calls)
        self.recorder: Any = None
        self.over, self.status = False, 0
        phone.calls.append(self)

    def ring(self) -> None:
        tell("incoming", self.number)
        self.reply(183 if SETTINGS["early_ms"] else 180)
        self.phone.later(SETTINGS["early_ms"] or 20, lambda: self.reply(200))

    def reply(self, status: int) -> None:
        given = pj.CallOpParam()
        given.statusCode = status
        self.answer(given)
        if status == 200:
            tell("answered", self.number)
            for after_ms, what in SETTINGS["hold"]:
                self.phone.later(after_ms, self.hold if what else self.resume)

    def hold(self) -> None:
        if not self.over:
            self.setHold(pj.CallOpParam(True))

    def resume(self) -> None:
        if not self.over:
            given = pj.CallOpParam(True)
            given.opt.flag = pj.PJSUA_CALL_UNHOLD
            self.reinvite(given)

    def dial(self, uri: str) -> None:
        self.makeCall(uri, pj.CallOpParam(True))

    def leave(self) -> None:
        if not self.over:
            self.hangup(pj.CallOpParam())

    def onCallMediaState(self, given: Any) -> None:
        info = self.getInfo()  # the media exist only as long as this object
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                if self.recorder is None:
                    self.recorder = pj.AudioMediaRecorder()
                    self.recorder.createRecorder(str(FOLDER / f"{self.number}.wav"))
                audio = self.getAudioMedia(index)
                audio.startTransmit(self.recorder)
                self.phone.player.startTransmit(audio)

    def onCallState(self, given: Any) -> None:
        info = self.getInfo()
        state, self.status = info.state, info.lastStatusCode
        if state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell("connected", self.number)
        if state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.over = True
            self.phone.later(0, self.close)

    def close(self) -> None:
        self.recorder = None  # this writes the file to its end
        tell("ended", self.number, status=self.status)


def main() -> None:
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put("quit")

    phone = Phone()
    threading.Thread(target=read, daemon=True).start()
    tell("ready")
    phone.run(lines)
    for call in phone.calls:
        call.recorder = None
    phone.player = None
    phone.endpoint.libDestroy()


main()
