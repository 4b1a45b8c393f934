"""Recording → measurement, and its picture."""
