"""Pages for the association's office."""
