"""Where parameters come from: catalog, downloads, layouts of other programs, and our own file."""
