"""The operator's own customers: which line may present which telephone numbers."""
