"""What firmware on TFLite Micro needs to run an int8 .tflite file."""
