"""Reads recordings (audio files and RTP captures) and splits them into legs."""
