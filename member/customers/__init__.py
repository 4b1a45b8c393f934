"""The customers' standard application form (標準申込書): required fields, the form on paper, and sealed records. Also
checks for refused contractors (事業者渡り), without a list of people.
"""
