"""How fast a network runs here, in every runtime."""
