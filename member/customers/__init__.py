"""The customers' standard application form (標準申込書): required fields, paper, sealed record; and refused contractors
(事業者渡り), recognised without a list of people.
"""
