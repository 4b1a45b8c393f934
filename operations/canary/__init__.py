"""The command `idtone canary`: a test call through the trunk that proves that the sound arrives."""
