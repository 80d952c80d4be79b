"""One .tflite model: read it, change it, run it, cost it."""
