"""Reports (申告) about calls, and tracing those calls: forms, signed documents, and the member's side."""
