"""The customers' standard application form (標準申込書): its requirements, the printed form, and sealed records.

The package also checks for refused contractors (事業者渡り), without sharing a list of people.
"""
