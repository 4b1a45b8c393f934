"""The course about the sound and the scheme: its text and test, its attendees, and their certificates."""
