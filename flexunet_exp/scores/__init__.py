"""From predictions to figures: pixels, objects, boundaries, score curves, intervals."""
