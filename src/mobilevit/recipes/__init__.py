"""Recipes: options of a training run as TOML files, each a claim with its command, hardware and score."""
