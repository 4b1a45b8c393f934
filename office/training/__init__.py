"""The course about the sound and the scheme: text, test, attendees and certificates."""
