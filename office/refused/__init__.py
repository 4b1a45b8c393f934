"""Refused contractors (事業者渡り) at the association: who is refused, the list of tokens, and the members' checks."""
