"""Reports and what members answer."""
