"""Refused contractors (事業者渡り): how a member asks whether a customer is one, and tells the association nothing."""
