"""The association's side of the registry: what its desk changes, who signs it, and what is published of it."""
