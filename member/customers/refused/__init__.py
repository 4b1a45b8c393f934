"""Refused contractors (事業者渡り): a member checks a customer, and the association does not learn who it is."""
