"""`idtone-office form | customer`: the customers' standard application form, and refused contractors."""

from idtone.core.terminal import command_line

app = command_line.group("The customers' standard application form (標準申込書): check, print and keep it.")
command_line.add_commands(
    app,
    {
        "new": (
            "idtone.member.customers.commands.forms:new",
            "Write an empty form for a kind of customer, with the fields that it needs.",
        ),
        "check": (
            "idtone.member.customers.commands.forms:check",
            "Find all faults of a form, each with its line, its field, and the rule that demands it.",
        ),
        "print": (
            "idtone.member.customers.commands.forms:print_form",
            "Print a form as PDF, filled in or empty, to be signed by the customer.",
        ),
    },
    panel="Forms",
)
command_line.add_commands(
    app,
    {
        "record": (
            "idtone.member.customers.commands.records:record",
            "Seal a complete form, keep it with the numbers assigned, and record that in the ledger.",
        ),
        "list": (
            "idtone.member.customers.commands.records:list_records",
            "List the recorded forms: the start, the day until which each is kept, and its state.",
        ),
        "show": (
            "idtone.member.customers.commands.records:show",
            "Open a recorded form, by its id or by a number that it was recorded for. The ledger first records who "
            "opens it, and why.",
        ),
        "approve": (
            "idtone.member.customers.commands.records:approve",
            "Approve that another person opens a form.",
        ),
        "end": (
            "idtone.member.customers.commands.records:end",
            "Record the end of a contract. The form is kept for seven years from that day.",
        ),
        "forget": (
            "idtone.member.customers.commands.records:forget",
            "Destroy the keys of the forms whose time is over: they can never be opened again.",
        ),
    },
    panel="Records",
)

customer = command_line.group(
    "A customer before a contract: whether other members refuse the same contractor (事業者渡り)."
)
command_line.add_commands(
    customer,
    {
        "check": (
            "idtone.member.customers.commands.customer_check:check",
            "Ask whether a customer is a refused contractor. The association does not learn whom you ask for.",
        ),
    },
)
