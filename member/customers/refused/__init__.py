"""Refused contractors (事業者渡り), which members check for without identifying customers to the association."""
