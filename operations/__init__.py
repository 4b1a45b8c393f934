"""The operator's commands that need more than one room: checks, set-up, exports and imports."""
