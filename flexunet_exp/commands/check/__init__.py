"""What flexunet check is made of: the examination, the terminal, the page."""
