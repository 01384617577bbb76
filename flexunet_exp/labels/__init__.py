"""Labels that are probably wrong: found, ranked, answered, mended. Pictures to label next."""
