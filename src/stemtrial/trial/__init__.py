"""A trial: its protocol, its conduct, its analysis, and its operating characteristics."""
