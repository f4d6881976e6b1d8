"""Transcripts of other systems, read into conversations."""
