"""Refused contractors (事業者渡り): a member checks a customer without identifying them to the association."""
