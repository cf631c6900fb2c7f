"""What is on disk: annotation files of every kind, and the images that they speak of. Knows no task."""
