"""Operating points: chosen on sources that nothing else was chosen on, kept by name, applied."""
