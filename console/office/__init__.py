"""The pages of the association's office."""
