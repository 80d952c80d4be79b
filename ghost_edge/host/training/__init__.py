"""Training, and weights from elsewhere."""
