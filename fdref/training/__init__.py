"""Learning weights."""
