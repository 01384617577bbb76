"""One fit, from where it stands to its best weights."""
