"""`idtone-office report | request`: reports about calls, and answers from the member's own ledger."""

from idtone.core.terminal import command_line

app = command_line.group("Reports about calls (申告): write and send them; list, show and close those that came in.")
request = command_line.group("The association's requests about reported calls: fetch and answer them.")
command_line.add_commands(
    app,
    {
        "new": (
            "idtone.member.reports.commands.reports:new",
            "Write a report to fill in.",
        ),
        "check": (
            "idtone.member.reports.commands.reports:check",
            "Find all faults of a report, each with its place and remedy.",
        ),
        "send": (
            "idtone.member.reports.commands.reports:send",
            "Sign a report, and send it to the association's desk; prints the receipt number.",
        ),
    },
    panel="For a member's office",
)
command_line.add_commands(
    request,
    {
        "fetch": (
            "idtone.member.reports.commands.requests:fetch",
            "Fetch the requests that this member has to answer, and show them.",
        ),
        "answer": (
            "idtone.member.reports.commands.requests:answer",
            "Answer a request with what this member's ledger has about the call.",
        ),
        "list": (
            "idtone.member.reports.commands.requests:list_own",
            "List the reports and answers that this node has signed, from its own ledger.",
        ),
    },
)
