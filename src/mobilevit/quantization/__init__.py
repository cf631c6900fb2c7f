"""A model in 8 bits: several ways of it tried, measured on images, and the best one kept."""
