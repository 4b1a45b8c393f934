"""Settings from `idtone.yaml`, with one module for each part."""
