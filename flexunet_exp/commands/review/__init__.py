"""flexunet review: labels that are probably wrong, ranked; answers read back and exported."""
