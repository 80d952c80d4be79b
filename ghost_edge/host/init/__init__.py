"""A first recipe, made of what somebody has: images, a Keras model or a checkpoint."""
