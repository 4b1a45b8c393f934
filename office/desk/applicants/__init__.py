"""Applications that applicants hand in themselves, at the desk's public page, before the office has examined them."""
