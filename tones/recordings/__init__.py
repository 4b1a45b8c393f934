"""Readers of recordings: audio files and captures of RTP, split into legs."""
