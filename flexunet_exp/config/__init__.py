"""What a composed configuration means: built, checked, hashed, its words taken apart."""
