"""flexunet reproduce: trains a finished run again, and says whether the scores are equal."""
