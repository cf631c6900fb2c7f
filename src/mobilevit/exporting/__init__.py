"""From a network to files for other runtimes, each compared with the network on real images."""
