"""The doctor's checks for possibly unnecessary work that Asterisk does for each call.

The figures were measured: docs/explanation/cost.md, "What an operator can do".
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from idtone.core.translation import Message

from .asterisk_findings import TRUE, sections
from .findings import Finding, good, unknown, warning

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
"""Modules that write channel events somewhere."""
MANY_CHANNELS: Final = 300
"""Number of channels on one endpoint from which a new call takes noticeably longer."""


def cel(running: Collection[str], text: str | None, trouble: str, path: Path) -> Finding:
    """Check that Asterisk does not log channel events needlessly.

    `running` are the running modules. `text` is the content of cel.conf, or None if it could not be read. `trouble` is
    then the reason, or empty if the file does not exist.
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
    """Check that no PJSIP endpoint has too many channels.

    `channels` maps each endpoint to its current number of channels.
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
