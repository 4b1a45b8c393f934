"""The customers' standard application form (標準申込書): what it needs, on paper, its sealed record; and
refused contractors (事業者渡り), recognised without a list of people.
"""
