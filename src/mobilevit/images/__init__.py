"""From whatever a person has to RGB pixels."""
