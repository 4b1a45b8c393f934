"""Applications that applicants submit on the desk's public page, before the office has examined them."""
