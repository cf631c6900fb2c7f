"""The command line: one module per command, which parses its options and calls the library."""

from mobilevit.cli.entry import main as main
