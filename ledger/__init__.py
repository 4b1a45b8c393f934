"""Evidence: what was decided for each call, and which sounds were sent (再生証跡)."""
