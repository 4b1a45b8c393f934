"""The operator's commands that need several rooms: checks, set-up, exports and imports."""
