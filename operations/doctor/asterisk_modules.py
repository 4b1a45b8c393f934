"""The Asterisk modules that the hook and the service need.

A test compares these tables with the hook.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from idtone.core.translation import Message
from idtone.dialplan import NO_TRUNKS

from .findings import Finding, bad, good

CDR: Final = "func_cdr"
"""The module that provides call detail records. It has a separate finding, because calls work without it but some
evidence is weaker."""
CORE: Final = ""
"""Used instead of a module name for applications and functions in Asterisk's core."""

APPLICATIONS: Final[Mapping[str, str]] = {
    "AGI": "res_agi",
    "Answer": CORE,
    "Dial": "app_dial",
    "ExecIf": "app_exec",
    "Gosub": "app_stack",
    "GosubIf": "app_stack",
    "Goto": CORE,
    "GotoIf": CORE,
    "Hangup": CORE,
    "MixMonitor": "app_mixmonitor",
    "MSet": CORE,
    "NoOp": CORE,
    "Originate": "app_originate",
    "Playback": "app_playback",
    "Playtones": "app_playtones",
    "Progress": CORE,
    "Return": "app_stack",
    "Set": CORE,
    "StackPop": "app_stack",
    "Stasis": "app_stasis",
    "StopMixMonitor": "app_mixmonitor",
    "StopPlaytones": "app_playtones",
    "TryExec": "app_exec",
    "Wait": CORE,
}
FUNCTIONS: Final[Mapping[str, str]] = {
    "AST_CONFIG": "func_config",
    "CALLERID": "func_callerid",
    "CDR": "func_cdr",
    "CHANNEL": "func_channel",
    "CONNECTEDLINE": "func_callerid",
    "CUT": "func_cut",
    "DIALPLAN_EXISTS": "func_dialplan",
    "ENV": "func_env",
    "FIELDNUM": "func_strings",
    "FIELDQTY": "func_strings",
    "FILE": "func_env",
    "FILTER": "func_strings",
    "GLOBAL": "func_global",
    "GROUP": "func_groupcount",
    "GROUP_COUNT": "func_groupcount",
    "IF": "func_logic",
    "IMPORT": "func_logic",
    "LEN": "func_strings",
    "LOCAL": "app_stack",
    "PJSIP_ENDPOINT": "func_pjsip_endpoint",
    "PJSIP_HEADER": "res_pjsip_header_funcs",
    "RAND": "func_rand",
    "REDIRECTING": "func_callerid",
    "REGEX": "func_strings",
    "REPLACE": "func_strings",
    "SHARED": "func_global",
    "SHIFT": "func_strings",
    "STACK_PEEK": "app_stack",
    "STAT": "func_env",
    "STRFTIME": "func_strings",
    "STRREPLACE": "func_strings",
    "TIMEOUT": "func_timeout",
    "URIDECODE": "func_uri",
    "URIENCODE": "func_uri",
}
"""Dialplan application or function → its module, according to Asterisk's documentation."""
FOR_TRUNKS: Final = frozenset({"PJSIP_HEADER"})
"""Functions that the hook uses only if trunks lead to other nodes (`fleet.trunks`) or accept an Identity header
(`policy.identity_trunks`)."""

WITH: Final[Mapping[str, str]] = {"func_pjsip_endpoint": "res_pjsip"}
"""Module of the hook → module without which the hook does not need it, because Asterisk may have no PJSIP."""

SERVICE: Final = (
    "res_ari",
    "res_ari_applications",
    "res_ari_asterisk",
    "res_ari_channels",
    "res_ari_events",
    "res_http_websocket",
    "res_stasis",
)
"""The modules that handle the service's requests."""
FORMATS: Final = ("format_gsm", "format_pcm", "format_sln")
"""The modules that read the sound files."""
DIALPLAN_VIEW: Final = ("res_ari_device_states", "res_stasis_device_state")
"""The modules that the doctor needs to find out whether an extension exists."""

_ARI_PART: Final = ("res_ari", "res_ari_model", "res_stasis")
FIRST: Final[Mapping[str, tuple[str, ...]]] = {
    "app_stasis": ("res_stasis", "res_ari"),
    "res_agi": ("res_speech",),
    "res_ari": ("res_http_websocket", "res_stasis", "res_websocket_client"),
    "res_ari_applications": _ARI_PART,
    "res_ari_asterisk": _ARI_PART,
    "res_ari_channels": (
        *_ARI_PART, "res_stasis_answer", "res_stasis_playback", "res_stasis_recording", "res_stasis_snoop",
    ),
    "res_ari_device_states": (*_ARI_PART, "res_stasis_device_state"),
    "res_ari_events": (*_ARI_PART, "res_http_websocket"),
    "res_stasis_answer": ("res_stasis",),
    "res_stasis_device_state": ("res_stasis",),
    "res_stasis_playback": ("res_stasis", "res_stasis_recording"),
    "res_stasis_recording": ("res_stasis",),
    "res_stasis_snoop": ("res_stasis",),
    "res_websocket_client": ("res_http_websocket", "res_sorcery_config"),
}  # fmt: skip
"""Module → the modules that it needs (`requires` in its AST_MODULE_INFO, and symbols). Asterisk has had
res_websocket_client since 20.15, 21.10 and 22.5. In older versions, res_ari does not need it, and loading it fails."""

_ACTION: Final = re.compile(r"^(?:exten = [^,]+,\d+| same = n(?:\([\w-]+\))?),(\w+)\(", re.MULTILINE)
_NESTED: Final = re.compile(r"(?:[?:]|TryExec\()([A-Z]\w+)\(")
_FUNCTION: Final = re.compile(r"(?:\$\{|Set\()([A-Z][A-Z_]+)\(")


def needed_modules(hook: str) -> tuple[str, ...]:
    """Modules that the service and a hook with the given text need.

    Raises KeyError if an application or function is in no table.
    """
    code = "\n".join(line for line in hook.splitlines() if not line.startswith(";"))
    nested = set(_NESTED.findall(code))
    applications = nested - FUNCTIONS.keys() | set(_ACTION.findall(code))
    functions = nested & FUNCTIONS.keys() | set(_FUNCTION.findall(code))
    if all(f"\n{name}={NO_TRUNKS}\n" in code for name in ("IDTONE_TRUNKS", "IDTONE_IDENTITY_TRUNKS")):
        functions -= FOR_TRUNKS
    used = {APPLICATIONS[name] for name in applications} | {FUNCTIONS[name] for name in functions}
    return tuple(sorted(used.union(SERVICE, FORMATS) - {CORE}))


def used(wanted: Iterable[str], running: Collection[str]) -> set[str]:
    """The wanted modules, except those that are needed only alongside a module that is not running."""
    return {name for name in wanted if name not in WITH or WITH[name] in running}


def judge(running: Collection[str], wanted: Collection[str]) -> Finding:
    """Check that Asterisk runs all modules that idtone needs.

    `running` are the running modules, without `.so`.
    """
    needed_ones = used(wanted, running) - {CDR}
    missing = sorted(needed_ones - set(running))
    if not missing:
        return good("asterisk-modules", Message("all {count} needed modules are running", count=len(needed_ones)))
    return bad("asterisk-modules", Message("not running: {names}", names=", ".join(missing)), remedy(missing, running))


def loading_order(wanted: Iterable[str], running: Collection[str] = ()) -> tuple[str, ...]:
    """The modules in loading order, each after the modules that it needs and that are not running yet."""
    order: dict[str, None] = {}

    def add(module: str) -> None:
        for first in FIRST.get(module, ()):
            if first not in running:
                add(first)
        order[module] = None

    for module in wanted:
        add(module)
    return tuple(order)


def load_commands(modules: Iterable[str]) -> str:
    return "; ".join(f"asterisk -rx 'module load {name}'" for name in modules)


def remedy(missing: Iterable[str], running: Collection[str] = ()) -> str:
    """Commands that load modules now, and lines that load them whenever Asterisk starts."""
    modules = loading_order(missing, running)
    lines = ", ".join(f"`load = {name}.so`" for name in modules)
    return Message(
        "{commands}; and if modules.conf has autoload = no or a noload for one, write {lines} there",
        commands=load_commands(modules),
        lines=lines,
    )
