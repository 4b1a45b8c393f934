"""Applications that applicants hand in themselves."""
