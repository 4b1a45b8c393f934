"""Evidence: the decision for each call, and the sounds that were sent (再生証跡)."""
