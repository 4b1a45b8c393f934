"""Reports (申告) about calls, and their traceback: the forms, the signed documents, and the member's side."""
