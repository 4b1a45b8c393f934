"""Japanese texts for the table of endings, used in docs/ja/reference/endings.md."""

from typing import Final

from lab.endings import Event, Step

HEAD: Final = """\
# 通話の終わり方

[lab/endings.py](../../../lab/endings.py) の表から作られたページです。表の各行には、実際の Asterisk で確かめる
試験の名前があります。断りのない限り、二つのインターフェース(ARI と AGI)のどちらでも、音を着信側だけに聞かせる場合も
両者に聞かせる場合も同じです。
`IDTONE_CAUSE` は ITU-T Q.850 の理由表示値、SIP は発信側の INVITE に対する最終応答です(200 の後は BYE が続きます)。

通話の段階は、判定(サービスに問い合わせています)、ダイヤル(着信側の電話機に通話が届き、応答がまだありません)、呼出し、
アーリーメディア、応答(着信側が応答し、音がまもなく始まります)、音の再生、接続(音が終わり、Asterisk が両者を
まもなく接続します)、通話の順に進みます。
"""
STEPS: Final = {
    Step.DECIDING: "判定",
    Step.DIALLING: "ダイヤル",
    Step.RINGING: "呼出し",
    Step.EARLY_MEDIA: "アーリーメディア",
    Step.ANSWERED: "応答",
    Step.SOUNDING: "音の再生",
    Step.CONNECTING: "接続",
    Step.CONNECTED: "通話",
}
EVENTS: Final = {
    Event.CALLER_HANGS_UP: "発信側が切断した(CANCEL、後に BYE)",
    Event.CALLED_HANGS_UP: "着信側が切断した",
    Event.BUSY: "話中",
    Event.DECLINED: "着信拒否(603)",
    Event.NO_ANSWER: "時間内に応答がない",
    Event.CONGESTION: "輻輳",
    Event.UNREACHABLE: "接続できない",
    Event.REFER: "転送(REFER)",
    Event.REINVITE: "保留、re-INVITE",
    Event.PLAYBACK_FAILED: "音のファイルが短すぎる",
    Event.PLAYBACK_LONG: "音のファイルが長すぎる",
    Event.SOUND_MISSING: "音のファイルがない、または読めない",
    Event.REGISTRY_UNUSABLE: "登録簿がない、または壊れている",
    Event.REGISTRY_STALE: "登録簿が古い",
    Event.LEDGER_LOCKED: "台帳がロックされている",
    Event.DISK_FULL: "ディスクが満杯",
    Event.SERVICE_KILLED: "サービスが強制終了した(SIGKILL)",
    Event.SERVICE_FROZEN: "サービスが無応答になった(SIGSTOP)",
    Event.SERVICE_STOPPED: "サービスを停止した(SIGTERM)",
    Event.SERVICE_REPLACED: "次のプロセスが引き継いだ",
    Event.LINE_CUT: "ARI の接続が切れた",
    Event.LINE_DEAD: "ARI の接続で何も届かなくなった",
    Event.SECOND_INSTANCE: "二つ目のプロセスを起動した",
    Event.ASTERISK_KILLED: "Asterisk が強制終了し、再び起動した",
    Event.ASTERISK_FROZEN: "Asterisk が 3 秒間停止した",
    Event.ASTERISK_RELOADED: "Asterisk を再読み込みした",
    Event.CLOCK_STEPPED: "時計が 1 時間ずれた",
}
WORDS: Final = {
    "–": "–",
    "BYE": "BYE",
    "a blind transfer leaves no trace; after one with a second call, the sound begins again; if the "
    "caller was to hear it and transferred, the call ended as FAILED or CANCEL, never connected": (
        "ブラインド転送は記録に残りません。取次転送の後は、音が最初から始まります。"
        "音を聞く発信側が転送した場合は FAILED または CANCEL で終了、接続なし"
    ),
    "a phone transfers what it has answered": "電話機が転送できるのは、応答した通話です",
    "as before or after the connection": "接続の前または後と同じ",
    "as usual": "通常どおり",
    "as usual, by the clock as it is": "通常どおり(時刻はその時計による)",
    "as usual, or fallback": "通常どおり、またはフォールバック",
    "as with any PBX": "ほかの PBX と同じ",
    "busy": "話中",
    "by the last good registry": "最後に使えた登録簿による",
    "congestion": "輻輳",
    "congestion or BYE": "輻輳または BYE",
    "connected, ended as CONNECTED": "接続、CONNECTED で終了",
    "connected, ended as CONNECTED; a forwarded number begins its own record": (
        "接続、CONNECTED で終了。転送先が転送元番号なら、別の記録が始まります"
    ),
    "connected; a called party that held the call did not hear the sound; hold by the caller is not detected": (
        "接続。保留していた着信側に音は送信されません。発信側の保留は検知できません"
    ),
    "ended as BUSY, nothing sent": "BUSY で終了、送信なし",
    "ended as CANCEL": "CANCEL で終了",
    "ended as CANCEL, never connected": "CANCEL で終了、接続なし",
    "ended as CANCEL, nothing sent": "CANCEL で終了、送信なし",
    "ended as FAILED, nothing sent": "FAILED で終了、送信なし",
    "ended as NOANSWER, nothing sent": "NOANSWER で終了、送信なし",
    "ended as UNAVAILABLE, nothing sent": "UNAVAILABLE で終了、送信なし",
    "entered by the next instance": "次のプロセスが記録",
    "entered when it is back": "復旧後に記録",
    "fallback, and what was decided too late": "フォールバックと、間に合わなかった判定",
    "fallback, entered by the next instance": "フォールバック。次のプロセスが記録",
    "fallback, or as usual": "フォールバック、または通常どおり",
    "hears nothing for three seconds": "3 秒間無音",
    "hears nothing more": "以後無音",
    "hears the notice, and is connected": "通知音が聞こえ、接続されます",
    "hears the other three seconds later": "相手の声が 3 秒遅れて聞こえます",
    "hears the sound or hears the notice, and is connected": "音または通知音が聞こえ、接続されます",
    "hears the sound, and is connected": "音が聞こえ、接続されます",
    "hears the sound; if it holds the call, hears nothing until it resumes it, and the hook plays the "
    "sound again or the notice": ("音が聞こえます。保留中は再開まで無音で、フックが音または通知音を再生し直します"),
    "hears the sound; while holding the call, nothing until it is resumed": (
        "音が聞こえます。保留中は再開まで無音です"
    ),
    "interrupted, as far as it was written": "interrupted(書かれた範囲まで)",
    "the call was answered": "応答済みです",
    "the phone was reached": "接続済みです",
    "its call ends": "通話が終了します",
    "kept in memory, and written when there is room again": "メモリーに保持し、空きができてから書き込み",
    "no such destination, or out of order": "宛先なし、または故障",
    "nobody answers": "応答なし",
    "nobody is called yet": "まだ誰にもダイヤルしていません",
    "not sent, and why": "送信なしと、その理由",
    "notices nothing": "影響なし",
    "notices nothing of a blind transfer, which is refused; if a caller who was to hear the sound "
    "transfers with a second call, the call ends": (
        "ブラインド転送は拒否され、影響ありません。音を聞く発信側が取次転送を行うと、通話が終了します"
    ),
    "notices nothing of a blind transfer; after one with a second call, the new party hears the sound "
    "from the beginning": ("ブラインド転送では影響なし。取次転送の後は、新しい相手に音が最初から聞こえます"),
    "rejected": "着信拒否",
    "sent, or not and why": "送信済み、または送信なしとその理由",
    "talks to the party that the transfer leads to": "転送先と通話します",
    "the called party then declines: see busy, declined and congestion": "話中、着信拒否、または輻輳です",
    "the call ends": "通話が終了します",
    "the called party did not hear it; ended as FAILED, not connected": (
        "着信側への送信は未完。FAILED で終了、接続なし"
    ),
    "the phone stops ringing": "呼出しが止まります",
    "the reason is registry-stale": "理由は registry-stale",
    "the same; if the next number is a forwarded one, the next called party hears the sound": (
        "同じ。転送先が転送元番号なら、次の着信側に音が聞こえます"
    ),
    "there is no media session to change": "変更するメディアセッションがありません",
    "waits three seconds longer": "3 秒長く待ちます",
    "waits until the file has ended": "ファイルの終わりまで待ちます",
    "waits until the service has noticed": "サービスが検知するまで待ちます",
    "waits until the service is connected again": "サービスが再び接続するまで待ちます",
    "written when the ledger is free again": "台帳のロックが解けてから書き込み",
}
