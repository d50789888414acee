"""Decoding banks of filters: from above, from below, planned, into memory or onto the disk."""
