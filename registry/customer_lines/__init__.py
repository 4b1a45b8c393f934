"""Telephone numbers that each customer line may present."""
