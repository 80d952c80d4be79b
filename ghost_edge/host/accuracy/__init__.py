"""Accuracy of the models, layer by layer and runtime by runtime."""
