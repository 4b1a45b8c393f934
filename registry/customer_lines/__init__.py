"""The operator's customers: the telephone numbers that each of their lines may present."""
