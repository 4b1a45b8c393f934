"""Refused contractors (事業者渡り): the association's refusals, the list of tokens, and members' checks."""
