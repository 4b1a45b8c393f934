"""Macro language of `idtone.conf`, the source of the hook. The export expands the macros.

A line that ends with a backslash continues on the next line. `@NAME@` stands for a text. `@name{…}` stands for a text
around its argument, which may contain further macros and Asterisk's own `${…}`.
"""

import re
from collections.abc import Mapping
from typing import Final

VERDICT: Final = ("nonce", "outcome", "reason", "cause", "option", "called", "caller", "packets", "chain")
"""A verdict's fields in order (`dialplan.Verdict.text`): `@VERDICT_REASON@` reads one."""
FALLBACK: Final = ("reason", "cause", "hears", "option")
"""Fields returned by the context idtone-fallback: `@FALLBACK_REASON@` reads one."""

TEXTS: Final[Mapping[str, str]] = {
    **{f"@VERDICT_{name.upper()}@": f"${{CUT(IDTONE_VERDICT,:,{at})}}" for at, name in enumerate(VERDICT, 1)},
    **{f"@FALLBACK_{name.upper()}@": f"${{CUT(GOSUB_RETVAL,:,{at})}}" for at, name in enumerate(FALLBACK, 1)},
    # The beginning of a journal line: the call, and with it the request.
    "@CALL@": "${IDTONE_CALL_ID},${IDTONE_NONCE}",
    "@DECIDED@": "IDTONE_DECIDED=decided,${IDTONE_CALL_ID},${IDTONE_NONCE},${IDTONE_REQUEST}",
    "@ENDED@": (
        "ended,${IDTONE_CALL_ID},${IDTONE_NONCE},@NOW@,${IDTONE_STATUS},${IDTONE_CAUSE},${IDTONE_REASON},${DIALSTATUS},"
        "${ANSWEREDTIME_MS}"
    ),
    # The request to the service.
    "@QUESTION@": (
        "${IDTONE_CALL_ID},${IDTONE_NONCE},${IDTONE_REQUEST},${IDTONE_CHAIN},${IDTONE_DIVERTING},${IDTONE_SIP_CALL_ID},"
        "${IDTONE_TOKEN}"
    ),
    "@REPORTED@": (
        r"reported,${ARG1},${ARG2},@NOW@,${FILTER(a-z0-9=\;.\x2d,${CHANNEL(rtcp,all)})},"
        '${IF($["${CHANNEL(rtp,dest)}" = "${IDTONE_TARGET}"]?same:moved)}'
    ),
    # An incoming or outgoing call that was connected ends.
    "@CONNECTED@": (
        'IDTONE_STATUS=CONNECTED,IDTONE_CAUSE=16,IDTONE_OPEN=no,"@JOURNAL_LINE@=ended,${IDTONE_CALL_ID},${IDTONE_NONCE},'
        '@NOW@,CONNECTED,16,${IDTONE_REASON},${DIALSTATUS},${ANSWEREDTIME_MS}"'
    ),
    "@JOURNAL_LINE@": "FILE(${IDTONE_JOURNAL},,,al,u)",
    # True for a few calls, which are examined more closely.
    "@PERHAPS_UNCLEAR@": (
        '${ARGC} > 5 | ${REGEX("11[089]" ${FILTER(0-9,${ARG1}&${ARG5})})}'
        r" | ${LEN(${FILTER(\x01-\x1f\x7f-\xff\x2c,${ARG1}&${ARG5})}${FILTER(\x2c,${ARG2}${ARG3}${ARG4})})}"
    ),
    "@MANY_WAIT@": "0${GROUP_COUNT(deciding@idtone)} * 10 >= ${IDTONE_WAITING}",
    "@PERHAPS_REPEATED@": (
        '"${IDTONE_NONCE}${IDTONE_OPEN}${IDTONE_SOUNDING}${DIALSTATUS}" != ""'
        r" | ${LEN(${FILTER(A-Za-z0-9._\x2d,${UNIQUEID})})} != ${LEN(${UNIQUEID})}"
    ),
    "@PERHAPS_UNCLEAN@": (
        "${LEN(${FILTER(@NOT_PRINTABLE@,@CALLER_TEXTS@)}"
        "${FILTER(@NOT_PRINTABLE@,${URIDECODE(${IDTONE_SIP_CALL_ID})})})}"
        " | ${LEN(@CALLER_TEXTS@)} > @CALLER_TEXTS_LIMIT@"
    ),
    # The request goes over ARI, and no trunk shows more that it should have.
    "@ARI_AT_ONCE@": (
        '"${IDTONE_INTERFACE}" = "ari" & "${IDTONE_TRUNKS}${IDTONE_DIVERSION_TRUNKS}" = "@NO_TRUNKS@@NO_TRUNKS@"'
    ),
    # The call begins to wait for its verdict; the verdict has come.
    "@WAITS@": (
        'IDTONE_SIP_CALL_ID=@encoded{${${IF($["${CHANNEL(channeltype)}" = "PJSIP"]?'
        "CHANNEL(pjsip,call-id):IDTONE_NONE)}}},"
        "GLOBAL(IDTONE_MOVED)=${IF($[0${GROUP_COUNT(deciding@idtone)} = 0]?@TENTHS@:${IDTONE_MOVED})},"
        "GROUP(idtone)=deciding,TIMEOUT(absolute)=3"
    ),
    "@ANSWERED@": (
        "TIMEOUT(absolute)=${IDTONE_DEADLINE},GROUP(idtone)=,GLOBAL(IDTONE_MOVED)=@TENTHS@,"
        "GLOBAL(IDTONE_THERE)=@TENTHS@"
    ),
    "@IS_VERDICT@": '"${IDTONE_NONCE}" != "" & "${CUT(IDTONE_VERDICT,:,1)}" = "${IDTONE_NONCE}"',
    # Variables that the legs of a call with a sound inherit; a call that no other number has diverted before.
    "@SOUNDING@": "__IDTONE_SOUNDING=${IDTONE_CALL_ID},_GOSUB_RESULT=GOTO:idtone-forward^unconnected^1",
    "@FIRST_DIVERSION@": "REDIRECTING(reason,i)=cfu,REDIRECTING(count,i)=1",
    # No verdict has come, and the fallback has not decided.
    "@UNDECIDED@": '"${IDTONE_VIA}" = "" | "${IDTONE_VIA}" = "again"',
    # The status of a call that a hangup has ended.
    "@ENDED_AS@": (
        '${IF($["${DIALSTATUS}" != "ANSWER"]?CANCEL:${IF($["${ANSWEREDTIME_MS}" != ""]?CONNECTED:'
        '${IF($["${CHANNEL(hangupsource)}" = "${CHANNEL}"]?CANCEL:FAILED)})})}'
    ),
    # The hook has a call on this channel, and reports its end also if a transfer takes the channel out of the hook.
    "@HERE@": 'SHARED(IDTONE_HERE)=yes,"CHANNEL(hangup_handler_push)=idtone-hangup,s,1"',
    # Whether it is known that this PJSIP channel's endpoint can receive at once: its place in the list, or nothing.
    "@AT_ONCE@": "${FIELDNUM(IDTONE_AT_ONCE,&,@ENDPOINT@)}",
    "@ENDPOINT@": "${EPOCH:0:-2}-${URIENCODE(${CHANNEL:6:-9})}",
    # Options of Dial() before those of the sound: texts for the trunk, and the option for each leg.
    "@PREDIAL@": "${IDTONE_SHOWN}@LEG@",
    "@IS_PLAIN@": '${REGEX("@PLAIN@" ${LEN(${ARG2})} ${ARG2:0:20})}',
    "@NEW_NONCE@": "${RAND(100000,999999)}${RAND(100000,999999)}",
}
AROUND: Final[Mapping[str, tuple[str, str]]] = {
    # URI-encoded, without the characters that separate fields.
    "encoded": (r"${FILTER(A-Za-z0-9%._~!*\x2d,${URIENCODE(", ")})}"),
    # Fields of a request, each URI-encoded.
    "fields": (r"${FILTER(A-Za-z0-9%._~!*\x2c\x2d,", ")}"),
    # A verdict, without the characters that none has.
    "verdict": (r"${FILTER(A-Za-z0-9:_\x2d,", ")}"),
    # Dial() connects if GOSUB_RESULT is empty, and the caller's channel must not keep it: its value is cut off.
    "connect": ("GOSUB_RESULT=${IMPORT(", ",SHIFT(GOSUB_RESULT)):99}"),
    "dial": ("Dial(${ARG1},${FILTER(0-9.,${ARG4})},g", ")"),
    # Of the service's file: section, entry.
    "entry": ("${AST_CONFIG(${IDTONE_SOUNDS}/@FALLBACK_FILE@,", ")}"),
}

_CONTINUED: Final = re.compile(r"\\\n[ \t]*")
_BEGINS: Final = re.compile(r"@([a-z]+)\{")


def expand(source: str) -> str:
    """Expand the macros in the source. Placeholders for settings are kept."""
    text = _CONTINUED.sub("", source)
    for name, value in TEXTS.items():
        text = text.replace(name, value)
    while match := _BEGINS.search(text):
        before, after = AROUND[match[1]]
        end = _closing(text, match.end())
        text = text[: match.start()] + before + text[match.end() : end] + after + text[end + 1 :]
    return text


def _closing(text: str, start: int) -> int:
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return place
    raise ValueError(f"no closing brace: {text[start : start + 60]}")
