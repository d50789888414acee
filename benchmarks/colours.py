"""Colours of what is compared, which colour-blind people tell apart, too."""

THREE = ("#c44e00", "#332288", "#56b4e9")
