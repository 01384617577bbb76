"""flexunet propose: which unlabelled pictures to label next, with predictions to correct."""
