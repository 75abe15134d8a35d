"""Find tissue on a slide, or take it from a mask that a user drew."""
