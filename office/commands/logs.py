"""`idtone-office log add-key | end-log-key | add-witness | end-witness | demand-cosignatures`.

They say whose logs of evidence there are, and which witnesses count. The holders of the registry's keys sign it with
the next edition.
"""

from __future__ import annotations

from typing import Annotated

import typer

from idtone.core.terminal import command_line
from idtone.registry.trust import tuf_roles

from ..authority import log_edits
from ..authority.change_registry import change_registry
from ..authority.history import Action
from ..authority.workspace import Workspace
from .history_entry import print_change
from .options import FolderArgument, WhyOption, attributed, end, in_japan, moment
from .registry import MemberArgument

LogKeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="The log's key, as `idtone-evidence log key` prints it.")
]
WitnessKeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The verifier key that the witness publishes.")]
SinceOption = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="From when on it counts (default: now); the log's first signature.")
]
EndOption = Annotated[
    str, typer.Option(metavar="MOMENT", help="The last day on which it counts, in Japan; or the moment of the end.")
]


def add_log_key(
    folder: FolderArgument,
    member: MemberArgument,
    key: LogKeyArgument,
    since: SinceOption = None,
    corporate_number: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="The member's corporate number (法人番号), 13 digits.")
    ] = None,
    why: WhyOption = "key of a log",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter the key of a member's log of evidence: packs then prove whose log it is."""
    attribution = attributed(why)
    begins = moment(since, "--since") if since else in_japan(attribution.at)
    entry = change_registry(
        Workspace(folder),
        Action.ADD_LOG_KEY,
        member,
        attribution,
        lambda text, document: log_edits.log_key_added(text, document, member, key.strip(), begins, corporate_number),
    )
    print_change(entry, as_json)


def end_log_key(
    folder: FolderArgument,
    key: LogKeyArgument,
    until: EndOption,
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record from when on the key of a log is not believed: it was replaced, or is in other hands."""
    over = end(until, "--until")
    entry = change_registry(
        Workspace(folder),
        Action.END_LOG_KEY,
        key.partition("+")[0],
        attributed(why),
        lambda text, document: log_edits.log_key_ended(text, document, key.strip(), over),
    )
    print_change(entry, as_json)


def add_witness(
    folder: FolderArgument,
    key: WitnessKeyArgument,
    since: SinceOption = None,
    why: WhyOption = "a witness",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter a witness whose cosignatures count for all members' logs."""
    attribution = attributed(why)
    begins = moment(since, "--since") if since else in_japan(attribution.at)
    entry = change_registry(
        Workspace(folder),
        Action.ADD_WITNESS,
        key.partition("+")[0],
        attribution,
        lambda text, document: log_edits.witness_added(text, document, key.strip(), begins),
    )
    print_change(entry, as_json)


def end_witness(
    folder: FolderArgument,
    key: WitnessKeyArgument,
    until: EndOption,
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Record from when on the cosignatures of a witness do not count."""
    over = end(until, "--until")
    entry = change_registry(
        Workspace(folder),
        Action.END_WITNESS,
        key.partition("+")[0],
        attributed(why),
        lambda text, document: log_edits.witness_ended(text, document, key.strip(), over),
    )
    print_change(entry, as_json)


def demand_cosignatures(
    folder: FolderArgument,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="How many witnesses, by name, must cosign.")],
    why: WhyOption,
    as_json: command_line.JsonOption = False,
) -> None:
    """Set how many of the witnesses must have cosigned a member's log."""
    entry = change_registry(
        Workspace(folder),
        Action.DEMAND_COSIGNATURES,
        tuf_roles.REGISTRY_FILE,
        attributed(why),
        lambda text, document: log_edits.cosignatures_set(text, document, number),
    )
    print_change(entry, as_json)
