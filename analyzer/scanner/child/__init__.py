"""The part of the scanner that touches the disk. Runs only inside the sandbox (see `analyzer.scanner.sandbox`)."""
