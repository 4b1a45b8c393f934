"""Reports (申告) about calls and the traceback of these calls: forms, signed documents, and the member's side."""
