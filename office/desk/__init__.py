"""The association's desk (窓口) for members' documents: each document is stored, and each act is a leaf of the office's
ledger.
"""
