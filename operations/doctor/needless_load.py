"""Findings on work that Asterisk does for each call although nobody may need it. Pure.

The figures were measured: docs/explanation/cost.md, "What an operator can do".
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from idtone.core.translation import Message

from .asterisk_findings import TRUE, sections
from .findings import Finding, good, unknown, warning

DECLINED_SECTION: Final = "declined_message_types"
"""The section of stasis.conf with the events that Asterisk does not publish."""
VARIABLE_EVENTS: Final = "ast_channel_varset_type"
"""The name of the events of variables in that section."""
DECLINE: Final = f"decline = {VARIABLE_EVENTS}"
_DECLINES: Final = re.compile(rf"^\s*decline\s*=>?\s*{VARIABLE_EVENTS}\s*(?:;.*)?$", re.MULTILINE)
CEL_WRITERS: Final = frozenset(
    {
        "cel_beanstalkd",
        "cel_custom",
        "cel_manager",
        "cel_odbc",
        "cel_pgsql",
        "cel_radius",
        "cel_sqlite3_custom",
        "cel_tds",
    }
)
"""The modules that write channel events somewhere."""
MANY_CHANNELS: Final = 300
"""Channels of one endpoint from which a new call takes noticeably longer."""


def variable_events(text: str | None, trouble: str, path: Path) -> Finding:
    """The finding on the events of variables. `text` is the text of stasis.conf, None if it could not be read;
    `trouble` says why, and is empty if the file does not exist.
    """
    topic = "variable-events"
    if text is None and trouble:
        return unknown(
            topic,
            Message("{path}: {trouble}", path=path, trouble=trouble),
            Message("Run this as a user who may read {path}", path=path),
        )
    if declines_variable_events(text or ""):
        return good(topic, Message("{path} declines {name}", path=path, name=VARIABLE_EVENTS))
    return good(
        topic,
        Message(
            "Asterisk publishes them. If no program of yours reads VarSet (AMI) or ChannelVarset (ARI), "
            "`idtone setup --decline-variable-events` saves processor time of each call"
        ),
    )


def declines_variable_events(text: str) -> bool:
    """True if a stasis.conf with this text declines the events of variables."""
    return bool(_DECLINES.search(text))


def cel(running: Collection[str], text: str | None, trouble: str, path: Path) -> Finding:
    """The finding on the events of channels. `running` are the running modules; `text` and `trouble` of cel.conf are as
    in `variable_events`.
    """
    topic = "cel"
    if text is None and trouble:
        return unknown(
            topic,
            Message("{path}: {trouble}", path=path, trouble=trouble),
            Message("asterisk -rx 'cel show status'; or run this as a user who may read {path}", path=path),
        )
    if sections(text or "").get("general", {}).get("enable", "").lower() not in TRUE:
        return good(topic, Message("{path} does not enable them", path=path))
    writers = sorted(CEL_WRITERS.intersection(running))
    if writers:
        return good(topic, Message("{modules} write them", modules=", ".join(writers)))
    return warning(
        topic,
        Message("{path} enables them, and no module writes them anywhere", path=path),
        Message("In {path}, [general]: `enable = no`; then asterisk -rx 'module reload cel'", path=path),
    )


def channels_per_endpoint(channels: Mapping[str, int]) -> Finding:
    """The finding on the channels of PJSIP endpoints. `channels` has the present number of channels of each
    endpoint.
    """
    topic = "endpoint-channels"
    name = max(channels, key=lambda each: channels[each], default="")
    most = channels.get(name, 0)
    if most < MANY_CHANNELS:
        return good(topic, Message("no endpoint has more than {count} channels now", count=most))
    return warning(
        topic,
        Message("the endpoint {name} has {count} channels now", name=name, count=most),
        Message("In pjsip.conf: several endpoints for this trunk, over which the dialplan spreads the calls"),
    )
