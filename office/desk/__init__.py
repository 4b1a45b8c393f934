"""The association's desk (窓口), a server that accepts members' documents and the public's forms.

The desk stores each document and records each act in the office's ledger.
"""
