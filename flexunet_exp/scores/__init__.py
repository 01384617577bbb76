"""From predictions to figures: pixels, objects, boundaries, score curves, and how sure they are."""
