"""Evidence: what was decided for each call, and what was heard (再生証跡)."""
