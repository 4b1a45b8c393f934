"""`idtone ledger`: read, verify and prove the evidence, disclose it, and forget its telephone numbers."""

from __future__ import annotations

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
    },
    panel="Calls",
)
command_line.add_commands(
    app,
    {
        "replicas": (
            "idtone.ledger.commands.replicas:replicas",
            "List the nodes whose ledgers have replicas in PostgreSQL, and how far each replica has come.",
        ),
        "forget": (
            "idtone.ledger.commands.forget:forget",
            "Destroy the keys of all days before DATE: the numbers of these days can never be opened again.",
        ),
        "hold": (
            "idtone.ledger.commands.holds:hold",
            "Hold calls for a case (legal hold): their numbers are not forgotten while the hold stands.",
        ),
        "holds": (
            "idtone.ledger.commands.holds:list_holds",
            "List the legal holds, the newest last. Exit 1: someone has to decide about one, because its last day is "
            "over.",
        ),
        "lift-hold": (
            "idtone.ledger.commands.holds:lift_hold",
            "Lift a legal hold: the numbers of its calls are forgotten like those of others.",
        ),
    },
    panel="Keeping the ledger",
)
command_line.add_commands(
    app,
    {
        "verify": (
            "idtone.ledger.commands.proofs:verify",
            "Verify that no record was changed, removed, inserted or moved since it was signed, and none cut off.",
        ),
        "reconcile": (
            "idtone.ledger.commands.reconcile:reconcile",
            "Compare the ledger with call detail records of Asterisk or a carrier, by SIP Call-ID.",
        ),
        "prove": (
            "idtone.ledger.commands.proofs:prove",
            "Print the proof that a call's record is in the signed tree (C2SP tlog-proof), with the record as its "
            "extra data.",
        ),
        "tiles": (
            "idtone.ledger.commands.tiles:tiles",
            "Write the ledger as static files (C2SP tlog-tiles), or add what is new, so that others can read and "
            "verify it.",
        ),
        "verify-tiles": (
            "idtone.ledger.commands.tiles:verify_tiles",
            "Verify a ledger from its static files (C2SP tlog-tiles): the signature, every tile, and every record.",
        ),
        "key": (
            "idtone.ledger.commands.proofs:show_key",
            "Print the verifier key of this ledger. Others verify its signatures with it; give it to your witnesses.",
        ),
        "replace-key": (
            "idtone.ledger.commands.log_keys:replace_key",
            "Replace the key that signs the log: its tree ends, and another one, with the new key, continues it.",
        ),
        "end": (
            "idtone.ledger.commands.log_keys:end",
            "End the log, for a node that records no more evidence: its last leaf says so, and no leaf may follow.",
        ),
        "witness": (
            "idtone.ledger.commands.witness:witness",
            "Run a witness (C2SP tlog-witness) until SIGTERM: it cosigns heads that continue what it cosigned before.",
        ),
        "monitor": (
            "idtone.ledger.commands.monitor:monitor",
            "Follow the published ledgers of others and ask their witnesses, until SIGTERM; alarms go into the log.",
        ),
        "verify-split-view": (
            "idtone.ledger.commands.monitor:verify_split_view",
            "Verify that the key of a ledger has signed two histories, by a file that a monitor has kept.",
        ),
    },
    panel="Signatures and proofs",
)
command_line.add_commands(
    app,
    {
        "requests": (
            "idtone.ledger.commands.requests:list_requests",
            "List the requested exports, the newest last, and their states.",
        ),
        "approve": (
            "idtone.ledger.commands.requests:approve",
            "Approve an export that another person has requested; the command shows first what it contains.",
        ),
        "refuse": (
            "idtone.ledger.commands.requests:refuse",
            "Refuse a requested export, even after its approval; or withdraw a request of your own.",
        ),
        "deliver": (
            "idtone.ledger.commands.disclosures:deliver",
            "Make the receipt (受領書) that the receiving officer signs, in Japanese and English.",
        ),
        "receipt": (
            "idtone.ledger.commands.disclosures:receipt",
            "Record that an office has received a pack: on paper, with a scan of the paper, or with its signature.",
        ),
        "confirm": (
            "idtone.ledger.commands.disclosures:confirm",
            "Record that the office has confirmed in writing what it demanded in an emergency.",
        ),
        "disclosures": (
            "idtone.ledger.commands.disclosures:disclosures",
            "List all disclosures and requests of a year: legal basis, persons, pack, receipt, refusal, confirmation.",
        ),
        "verify-pack": (
            "idtone.ledger.commands.verify_pack:verify_pack",
            "Verify an evidence pack: its seal, every file, each record's proof, the rules for leaves and times, and "
            "that the reports say what the leaves say; then print its records.",
        ),
    },
    panel="Disclosure",
)
