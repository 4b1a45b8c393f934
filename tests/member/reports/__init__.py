"""Reports and the answers of members."""
