"""Basic types and tools of all packages: calls, the decision, telephone numbers, settings and errors."""
