"""The command line: users, files, terminals. Imports no torch at module level."""

__version__ = "0.1.0"
