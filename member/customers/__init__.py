"""The standard application form for customers (標準申込書): its requirements, printing, and sealed records.

Also checks for refused contractors (事業者渡り) without sharing a list of people.
"""
