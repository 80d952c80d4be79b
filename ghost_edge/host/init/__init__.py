"""A first recipe, made of what somebody has: pictures, a Keras model or a checkpoint."""
