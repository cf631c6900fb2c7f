"""How fast a model runs here, in every runtime."""
