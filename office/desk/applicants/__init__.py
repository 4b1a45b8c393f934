"""Submissions of applicants at the desk's public page, before the office has examined them."""
