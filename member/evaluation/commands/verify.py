"""`idtone-office evaluation verify`, which verifies a published evaluation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from idtone.core.errors import TrustError
from idtone.core.japan_time import last_day
from idtone.core.terminal import command_line

from ..evaluation_verification import verify_published


def verify(
    site: Annotated[Path, typer.Argument(metavar="LIST", help="The folder of the public list: operators.json, proof.")],
    what: Annotated[str, typer.Argument(metavar="BADGE|MEMBER", help="A badge, FILE.svg, or a member's id.")],
    trust: Annotated[Path, typer.Option(metavar="FILE", help="The association's root metadata.")],
    as_json: command_line.JsonOption = False,
) -> None:
    """Verify a member's evaluation, or a badge, against the association's public list. Exit 1: the association did not
    publish it in this form, or it is no longer valid.

    No network is needed. The command verifies the signatures of the list, the digests of criteria, result and badge,
    and computes points and grade again from the values in the result.
    """
    try:
        found = verify_published(site, trust, what, datetime.now(UTC))
    except TrustError as error:
        if as_json:
            command_line.print_json({"good": False, "reason": str(error)})
        else:
            command_line.say("NOT GOOD: {reason}", reason=error.args[0])
        command_line.exit_negative()
    if as_json:
        command_line.print_json({"good": True, **found})
        return
    print(f"{found['member']}: {found['name']['ja']} / {found['name']['en']}")
    evaluation = found.get("evaluation")
    if evaluation is None:
        until = last_day(found["mark"]["valid_until"])
        command_line.say("licensed until {until}, and not evaluated", until=until)
        return
    title = evaluation["title"]
    print(f"{title['ja']} / {title['en']} ({evaluation['grade']}), {evaluation['percent']} %")
    command_line.say(
        "{period_from} – {period_until}, valid until {valid_until}",
        period_from=evaluation["period_from"],
        period_until=last_day(evaluation["period_until"]),
        valid_until=evaluation["valid_until"],
    )
