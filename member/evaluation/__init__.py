"""Evaluations of good operators (優良事業者評価): figures, criteria, points, grades, and verified results."""
