"""Writes networks as files for other programs, each with a proof that it computes the same."""
