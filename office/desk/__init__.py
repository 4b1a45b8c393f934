"""The association's desk (窓口) for members' documents. It stores each document, and records each act as a leaf of the
office's ledger.
"""
