"""One step each. What stands here is never changed: it has run somewhere."""
