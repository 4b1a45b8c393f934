"""Commands of `idtone ledger`, which read, verify and prove the evidence.

`idtone-evidence` has the other commands for evidence.
"""

from idtone.core.terminal import command_line

app = command_line.group("The evidence of decisions and of the sounds sent (再生証跡).")
command_line.add_commands(
    app,
    {
        "list": ("idtone.ledger.commands.calls:list_calls", "List calls, the newest last."),
        "show": (
            "idtone.ledger.commands.calls:show",
            "Show every step of one call. Exit 1: the ledger does not know it.",
        ),
        "find": (
            "idtone.ledger.commands.calls:find",
            "Find the calls of a number, or of a SIP Call-ID; needs the ledger's key. Exit 1: no call was found.",
        ),
        "stats": (
            "idtone.ledger.commands.calls:stats",
            "Count calls by day (of this machine's clock), member and licence: played, noticed, refused, bypassed, "
            "turned away, sound sent, sound confirmed.",
        ),
        "verify": (
            "idtone.ledger.commands.proofs:verify",
            "Verify that no record was changed, removed, inserted, moved or cut off since it was signed.",
        ),
        "prove": (
            "idtone.ledger.commands.proofs:prove",
            "Print the proof that a call's record is in the signed tree (C2SP tlog-proof), with the record as its "
            "extra data.",
        ),
    },
)
