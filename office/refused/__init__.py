"""Refused contractors (事業者渡り): the association's refusals, the token list and members' checks."""
