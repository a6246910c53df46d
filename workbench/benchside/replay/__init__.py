"""Replay: transcripts run again in fresh kernels, compared cell by cell."""
