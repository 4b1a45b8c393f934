"""The association's desk (窓口): what members send, each document kept, and each act a leaf of the office's ledger."""
