"""Pages of the association's office."""
