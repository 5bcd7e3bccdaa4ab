"""The command line: `main` and one file a command. A command returns its exit code."""
