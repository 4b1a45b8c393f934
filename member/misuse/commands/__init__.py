"""`idtone-office misuse`: signs of misuse in the ledger, and the results of their review."""

from idtone.core.terminal import command_line

app = command_line.group("Signs of misuse in the ledger (不正利用の兆候).")
command_line.add_commands(
    app,
    {
        "scan": (
            "idtone.member.misuse.commands.findings:scan",
            "Look for signs of misuse in the ledger, and list the findings. Exit 1: there are new ones.",
        ),
        "explain": (
            "idtone.member.misuse.commands.findings:explain",
            "Explain a finding: its reason, its calls, and what to do next. Exit 1: there is no such finding.",
        ),
        "plot": (
            "idtone.member.misuse.commands.findings:plot",
            "Draw what a finding counted over time, with the limit. Exit 1: there is no such finding.",
        ),
        "review": (
            "idtone.member.misuse.commands.findings:review",
            "Record the result of a finding in the ledger, so that it is no longer new.",
        ),
        "rules": (
            "idtone.member.misuse.commands.rules:rules",
            "Show the rules, and the limits in force.",
        ),
    },
)
