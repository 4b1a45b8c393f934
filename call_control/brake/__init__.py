"""The brake: it marks, slows and stops a line, trunk, customer or number that calls as no ordinary one does."""
