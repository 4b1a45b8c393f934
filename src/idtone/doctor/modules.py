"""Which modules of Asterisk the hook and the service need. Pure; a test holds the tables against the hook."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from .findings import Finding, bad, good

CORE: Final = ""
"""Part of Asterisk itself."""

APPLICATIONS: Final[Mapping[str, str]] = {
    "AGI": "res_agi",
    "Answer": CORE,
    "Bridge": CORE,
    "Dial": "app_dial",
    "ExecIf": "app_exec",
    "Gosub": "app_stack",
    "Goto": CORE,
    "GotoIf": CORE,
    "Hangup": CORE,
    "MSet": CORE,
    "NoOp": CORE,
    "Playback": "app_playback",
    "Playtones": "app_playtones",
    "Progress": CORE,
    "Return": "app_stack",
    "Set": CORE,
    "SoftHangup": "app_softhangup",
    "Stasis": "app_stasis",
    "StopPlaytones": "app_playtones",
    "UserEvent": "app_userevent",
    "Wait": CORE,
}
FUNCTIONS: Final[Mapping[str, str]] = {
    "AST_CONFIG": "func_config",
    "CALLERID": "func_callerid",
    "CHANNEL": "func_channel",
    "CHANNEL_EXISTS": "func_channel",
    "CUT": "func_cut",
    "DIALPLAN_EXISTS": "func_dialplan",
    "FILE": "func_env",
    "FILTER": "func_strings",
    "GLOBAL": "func_global",
    "GROUP": "func_groupcount",
    "GROUP_COUNT": "func_groupcount",
    "IF": "func_logic",
    "IMPORT": "func_logic",
    "LEN": "func_strings",
    "LOCAL": "app_stack",
    "RAND": "func_rand",
    "REDIRECTING": "func_callerid",
    "REGEX": "func_strings",
    "SHARED": "func_global",
    "STACK_PEEK": "app_stack",
    "STRFTIME": "func_strings",
    "TIMEOUT": "func_timeout",
    "URIENCODE": "func_uri",
}
"""Application or function of the dialplan → its module, by Asterisk's own documentation of each."""

SERVICE: Final = (
    "res_ari",
    "res_ari_applications",
    "res_ari_asterisk",
    "res_ari_channels",
    "res_ari_events",
    "res_ari_playbacks",
    "res_http_websocket",
    "res_stasis",
    "res_stasis_playback",
)
"""What the service's requests are answered by."""
FORMATS: Final = ("format_gsm", "format_pcm", "format_sln")
"""What reads the sound files."""


_ACTION: Final = re.compile(r"^(?:exten = [^,]+,\d+| same = n(?:\([\w-]+\))?),(\w+)\(", re.MULTILINE)
_NESTED: Final = re.compile(r"[?:]([A-Z]\w+)\(")
_FUNCTION: Final = re.compile(r"(?:\$\{|Set\()([A-Z][A-Z_]+)\(")


def needed(hook: str) -> tuple[str, ...]:
    """The modules for this text of the hook and for the service. Raises KeyError for a name that no table has."""
    code = "\n".join(line for line in hook.splitlines() if not line.startswith(";"))
    used = {APPLICATIONS[name] for name in _ACTION.findall(code) + _NESTED.findall(code)}
    used |= {FUNCTIONS[name] for name in _FUNCTION.findall(code)}
    return tuple(sorted(used.union(SERVICE, FORMATS) - {CORE}))


def judge(running: Collection[str], wanted: Collection[str]) -> Finding:
    """`running` are the modules that Asterisk says are running, without their `.so`."""
    missing = sorted(set(wanted) - set(running))
    if not missing:
        return good("asterisk-modules", f"all {len(wanted)} that are needed are running")
    load = "; ".join(f"asterisk -rx 'module load {name}'" for name in missing)
    lines = ", ".join(f"`load = {name}.so`" for name in missing)
    return bad(
        "asterisk-modules",
        f"not running: {', '.join(missing)}",
        f"{load}; and where modules.conf has autoload = no or a noload for it, write {lines} there",
    )
