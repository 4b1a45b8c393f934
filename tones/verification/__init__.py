"""Recording × profile → verdict."""
