"""The settings in `idtone.yaml`, a module for each part."""
