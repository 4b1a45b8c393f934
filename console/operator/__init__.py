"""Pages of an operator."""
