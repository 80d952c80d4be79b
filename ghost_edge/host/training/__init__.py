"""Training of a network, and import of weights from elsewhere."""
