"""`idtone-office misuse rules`."""

from pathlib import Path

from idtone.core.misuse_limits import SHIPPED, load_limits
from idtone.core.terminal import command_line
from idtone.core.translation import translated

from ..rules import RULES
from .options import RulesOption


def rules(
    limits_file: RulesOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show the rules, and the limits in force.

    The limits are idtone's own: they are not the law's, and not the association's. To change them, edit a copy of the
    shipped file, whose comments explain each limit, and name it with --rules.
    """
    limits = load_limits(limits_file)
    if as_json:
        command_line.print_json(limits.model_dump(mode="json"))
        return
    source: Path | str = limits_file or SHIPPED
    print(f"{source}: false_alarm {limits.false_alarm:g}")
    command_line.Rows(("rule", "on", "title", "looks at", "limits"), whole=("rule",)).print(
        (
            rule.name,
            rule.limits(limits).enabled,
            translated(rule.title),
            rule.grouping.value,
            " ".join(
                f"{name}={value:g}" for name, value in rule.limits(limits).model_dump(exclude={"enabled"}).items()
            ),
        )
        for rule in RULES
    )
