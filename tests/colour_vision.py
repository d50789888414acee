"""How far apart two colours are for people who see them in different ways."""

from __future__ import annotations

import numpy as np

MATRICES = {
    "trichromat": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
"""On linear red, green and blue: Machado, Oliveira and Fernandes (2009), of full severity."""

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1, 1.089])


def lab(colours, vision: str = "trichromat") -> np.ndarray:
    """Turn colours (..., 3), from 0 to 255, into CIELAB as somebody sees them."""
    coded = np.asarray(colours) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ MATRICES[vision].T, 0, 1) @ TO_XYZ.T / WHITE
    curved = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(curved, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lightness(colours) -> np.ndarray:
    return lab(colours)[..., 0]


def distance(one, other, vision: str) -> float:
    """Return CIE76's distance."""
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))
