"""From files, folders, URLs, videos, cameras and arrays to RGB pixels."""
