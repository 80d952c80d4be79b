"""Read a .tflite file into a Model; change it, run it, count its cost, verify it."""
