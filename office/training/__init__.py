"""The course about the sound and the scheme: its text and test as data, its attendees, and their certificates."""
