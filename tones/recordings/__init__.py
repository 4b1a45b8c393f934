"""Recordings of calls, read into legs: audio files, and captures of RTP."""
