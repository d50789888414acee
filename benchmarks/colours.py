"""Colours of what is compared: told apart by colour-blind people, too, as test_scripts.py checks."""

THREE = ("#c44e00", "#332288", "#56b4e9")
