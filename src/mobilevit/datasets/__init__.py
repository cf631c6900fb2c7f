"""Datasets on disk: annotation files of every format, and the images they refer to. Knows no task."""
