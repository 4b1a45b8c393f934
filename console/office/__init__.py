"""The pages for the association's office."""
