"""Signs of misuse in a member's own ledger: calls that look like fraud by their times, their counts and their order."""
