"""Drawings and playback of profiles and recordings: plans, spectrograms, and the sound device."""
