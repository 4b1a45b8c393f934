"""`idtone-office evaluation`: a member's figures, the criteria, and published evaluations."""

from idtone.core.terminal import command_line

app = command_line.group("The evaluation of good operators (優良事業者評価): figures, criteria, badges.")
command_line.add_commands(
    app,
    {
        "figures": (
            "idtone.member.evaluation.commands.figures:figures",
            "Compute the figures of a period from this node's ledger, and sign them for the association.",
        ),
        "send": (
            "idtone.member.evaluation.commands.figures:send",
            "Send signed figures to the association's desk.",
        ),
        "check": (
            "idtone.member.evaluation.commands.criteria:criteria",
            "Find all faults of a file of criteria, and show it: what is measured, and how many points it gives.",
        ),
        "verify": (
            "idtone.member.evaluation.commands.verify:verify",
            "Verify a member's evaluation, or a badge, against the association's public list. Exit 1: the association "
            "did not publish it in this form, or it is no longer valid.",
        ),
    },
    panel="For a member's office",
)
