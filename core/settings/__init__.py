"""The settings in `idtone.yaml`, one module for each part."""
