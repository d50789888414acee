"""The paper and its supplement, recomputed: what `fdref reproduce` runs, and nothing else needs."""
