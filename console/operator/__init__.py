"""The pages for an operator."""
