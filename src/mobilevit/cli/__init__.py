"""The command line. Knows the verbs; what they do stands in the modules that it calls."""

from mobilevit.cli.entry import main as main
