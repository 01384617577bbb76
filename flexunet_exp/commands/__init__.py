"""The words a person types: a file a command, or a folder when it needs more."""
