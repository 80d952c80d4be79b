"""Data and numpy maths; runs anywhere."""
