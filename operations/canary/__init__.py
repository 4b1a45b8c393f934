"""The command `idtone canary`, which places a test call through the trunk to prove that the sound arrives."""
