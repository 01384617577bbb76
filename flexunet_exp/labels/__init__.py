"""Labels that are probably wrong: found in predictions, ranked, answered by a person, mended."""
