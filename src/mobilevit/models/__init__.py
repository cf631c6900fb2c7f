"""The mathematics: imports torch only, and knows no configuration, file or download."""
