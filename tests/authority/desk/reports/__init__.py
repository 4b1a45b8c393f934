"""The report desk."""
