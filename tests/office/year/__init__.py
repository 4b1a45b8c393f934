"""A year of the association's office, in one afternoon: `make demo-authority`."""
