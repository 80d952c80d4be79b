"""TFLite Micro: sources, arena and golden vectors for firmware that runs an int8 .tflite file."""
