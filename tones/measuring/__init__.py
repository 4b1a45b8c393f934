"""Recording → measurement."""
