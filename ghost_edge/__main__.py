"""python -m ghost_edge is the ghost-edge command."""

from __future__ import annotations

from ghost_edge.cli.main import main

if __name__ == "__main__":
    main()
