"""Refused contractors (事業者渡り) at the association: the refusals, the list of tokens, and members' checks."""
