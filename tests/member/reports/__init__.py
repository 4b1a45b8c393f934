"""Reports about calls, and the members' answers to requests."""
