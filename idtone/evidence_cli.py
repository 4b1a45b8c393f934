"""The root of `idtone-evidence`: what an evidence officer, an auditor or a court does with the evidence of a node."""

from typing import Final

from idtone.core.terminal import command_line

DISCLOSURE: Final = "For an evidence officer"
VERIFYING: Final = "For a court, an investigator or an auditor"
KEEPING: Final = "For the keeper of the ledger"
OTHERS: Final = "For those who watch the ledgers of others"

GROUPS: Final = {
    "disclosure": (DISCLOSURE, "Evidence that was asked for or given out: approvals, receipts, confirmations."),
    "hold": (DISCLOSURE, "Legal holds: calls whose numbers are not forgotten while a case needs them."),
    "duty": (DISCLOSURE, "The duties that follow a stop (番号停止) of this node."),
    "verify": (VERIFYING, "Verify what was given out, or published."),
    "log": (KEEPING, "The signed log of this node: its place, its keys, its files for others, its replicas, its end."),
}
"""Noun → who uses it, and what its commands do. `--help` shows them in this order."""

COMMANDS: Final = {
    "disclosure requests": (
        "idtone.ledger.commands.disclosure_requests:list_requests",
        "List the requested exports, the newest last, and their states.",
    ),
    "disclosure approve": (
        "idtone.ledger.commands.disclosure_requests:approve",
        "Approve an export that another person has requested; the command shows first what it contains.",
    ),
    "disclosure refuse": (
        "idtone.ledger.commands.disclosure_requests:refuse",
        "Refuse a requested export, even after its approval; or withdraw a request of your own.",
    ),
    "disclosure deliver": (
        "idtone.ledger.commands.disclosures:deliver",
        "Make the receipt (受領書) that the receiving officer signs, in Japanese and English.",
    ),
    "disclosure receipt": (
        "idtone.ledger.commands.disclosures:receipt",
        "Record that an office has received a pack: on paper, with a scan of the paper, or with its signature.",
    ),
    "disclosure confirm": (
        "idtone.ledger.commands.disclosures:confirm",
        "Record that the office has confirmed in writing what it demanded in an emergency.",
    ),
    "disclosure list": (
        "idtone.ledger.commands.disclosures:disclosures",
        "List all disclosures and requests of a year: legal basis, persons, pack, receipt, refusal, confirmation.",
    ),
    "hold place": (
        "idtone.ledger.commands.holds:hold",
        "Place a legal hold on calls for a case: their numbers are not forgotten while the hold is in force.",
    ),
    "hold list": (
        "idtone.ledger.commands.holds:list_holds",
        "List the legal holds, the newest last. Exit 1: the last day of a hold is over: decide about it.",
    ),
    "hold lift": (
        "idtone.ledger.commands.holds:lift_hold",
        "Lift a legal hold: the numbers of its calls are forgotten like those of other calls.",
    ),
    "paper": (
        "idtone.operations.suspensions_commands:paper",
        "Create the paper for the police: the order, since when it is in force on this node, and which calls it ended.",
    ),
    "duty close": (
        "idtone.operations.suspensions_commands:close",
        "Record that a duty after a suspension is done: contract ended (契約解除), or contractor reported.",
    ),
    "reconcile": (
        "idtone.ledger.commands.reconcile:reconcile",
        "Compare the ledger with the call detail records of Asterisk or a carrier, by SIP Call-ID.",
    ),
    "verify pack": (
        "idtone.ledger.commands.verify_pack:verify_pack",
        "Verify an evidence pack and print its records. The command checks the seal, every file, each "
        "record's proof, the rules for leaves and times, and that the reports match the leaves.",
    ),
    "verify tiles": (
        "idtone.ledger.commands.tiles:verify_tiles",
        "Verify a ledger from its static files (C2SP tlog-tiles): the signature, every tile, and every record.",
    ),
    "verify split-view": (
        "idtone.ledger.commands.monitor:verify_split_view",
        "Verify a monitor's proof that the key of a ledger has signed two histories.",
    ),
    "verify paper": (
        "idtone.operations.suspensions_commands:verify_paper",
        "Verify that the ledger's key signed a paper. Exit 1: it did not.",
    ),
    "verify operators": (
        "idtone.registry.commands.licensed_operators:operators",
        "Verify the association's public list of licensed operators, and show it.",
    ),
    "forget": (
        "idtone.ledger.commands.forget:forget",
        "Destroy the keys of all days before DATE: the numbers of these days can never be opened again.",
    ),
    "log key": (
        "idtone.ledger.commands.proofs:show_key",
        "Print the verifier key of this ledger. Others verify its signatures with it; give it to your witnesses.",
    ),
    "log replace-key": (
        "idtone.ledger.commands.log_keys:replace_key",
        "Replace the key that signs the log: its tree ends, and a new tree with the new key continues it.",
    ),
    "log tiles": (
        "idtone.ledger.commands.tiles:tiles",
        "Write the ledger as static files (C2SP tlog-tiles), or add new entries, so that others can read and "
        "verify it.",
    ),
    "log replicas": (
        "idtone.ledger.commands.replicas:replicas",
        "List the nodes whose ledgers have replicas in PostgreSQL, and how current each replica is.",
    ),
    "log move": (
        "idtone.operations.ledger_move:move",
        "Move this node's ledger to another folder: its files, the unit's rights and the settings. Run it as root.",
    ),
    "log end": (
        "idtone.ledger.commands.log_keys:end",
        "End the log of a node that records no more evidence. Its last leaf states the end, and no leaf may follow.",
    ),
    "log give-up": (
        "idtone.ledger.commands.log_keys:give_up",
        "Give up the end of an earlier log whose key is lost, so that nothing can sign that end any more.",
    ),
    "witness": (
        "idtone.ledger.commands.witness:witness",
        "Run a witness (C2SP tlog-witness) until SIGTERM. It cosigns each head that extends the head it "
        "cosigned before.",
    ),
    "monitor": (
        "idtone.ledger.commands.monitor:monitor",
        "Follow the published ledgers of others and ask their witnesses, until SIGTERM. Alarms are written to the log.",
    ),
}
"""Words of a command → where it is, and its summary."""
PANELS: Final = {
    "paper": DISCLOSURE,
    "reconcile": DISCLOSURE,
    "forget": KEEPING,
    "witness": OTHERS,
    "monitor": OTHERS,
}
"""Who uses a command without a noun."""

app = command_line.program(
    "Evidence for those who ask for it: disclose it, verify it, keep it, watch that of others.",
    order=("disclosure", "hold", "paper", "duty", "reconcile", "verify", "log", "forget", "witness", "monitor"),
)
nouns = {noun: command_line.group(summary) for noun, (_, summary) in GROUPS.items()}
for name, commands in nouns.items():
    app.add_typer(commands, name=name, rich_help_panel=GROUPS[name][0])
for words, command in COMMANDS.items():
    noun, _, verb = words.rpartition(" ")
    command_line.add_commands(nouns[noun] if noun else app, {verb: command}, panel=PANELS.get(words))


def main() -> None:
    """Entry point of the `idtone-evidence` command."""
    command_line.run(app)
