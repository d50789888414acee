"""The conformance kit: whether another implementation is right, and if not, what it does."""
