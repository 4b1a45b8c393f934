"""The brake. It marks, slows and stops a line, trunk, customer or number that makes unusual calls."""
