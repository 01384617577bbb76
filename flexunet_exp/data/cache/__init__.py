"""Decoded pictures on disk."""
