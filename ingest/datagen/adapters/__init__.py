"""Foreign transcript formats, read into ours by pure functions."""
