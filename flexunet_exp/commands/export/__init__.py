"""Networks as files for other programs, each with the proof that it computes what it should."""
