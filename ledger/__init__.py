"""Evidence ledger, which records the decision on each forwarded call and the sounds sent to its parties."""
