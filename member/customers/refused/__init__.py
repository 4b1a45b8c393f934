"""Refused contractors (事業者渡り): a member's check of a customer, which tells the association nothing."""
