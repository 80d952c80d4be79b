"""Code for the workstation: the only folder that imports TensorFlow, ONNX tools and Pillow."""
