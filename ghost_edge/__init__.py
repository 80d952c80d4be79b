"""GhostNet from a recipe to a ZYNQ board, and the proof that nothing was lost on the way."""

__version__ = "0.1.0"
