"""Where parameters come from: catalogue, downloads, layouts of other programs, and our own file."""
