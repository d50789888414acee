"""How well filters predict, and how well any could."""
