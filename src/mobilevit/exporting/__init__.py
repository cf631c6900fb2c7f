"""From a model to files for other runtimes, each compared with the model on real images."""
