"""Data sets for the harness: one shape in memory (`interactions`), one module for each format on disk."""
