"""A network in 8 bits: several ways of it tried, measured on pictures, and the best one kept."""
