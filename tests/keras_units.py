"""Units of the linear model in `keras_models.py`: channel, row and column."""

UNITS = {"block": (1, 2, 0), "up": (1, 4, 3), "last": (0, 2, 2), "top": (2, 0, 0)}
