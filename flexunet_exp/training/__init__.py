"""The training of one run, from its state to its best weights."""
