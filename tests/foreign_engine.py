"""An engine that is none of ours: a few lines of NumPy, in float32."""

from __future__ import annotations

from itertools import product

import naive
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fdref.engines.resize import matrix


class NumpyEngine:
    def precision(self, weights):
        return np.dtype(np.float32)

    def correlate(self, images, filters, bias, stride, pad, dilate):
        seen = patches(images, filters.shape[2:], stride, pad, dilate)
        groups = images.shape[1] // filters.shape[1]
        pairs = zip(np.split(seen, groups, axis=1), np.split(filters, groups), strict=True)
        response = [np.einsum("ncyxij,kcij->nkyx", own, some) for own, some in pairs]
        return np.concatenate(response, axis=1) + (0 if bias is None else bias[:, None, None])

    def pool(self, images, window, stride, pad, method):
        seen = patches(images, window, stride, pad, (1, 1), np.nan)
        return {"max": np.nanmax, "avg": np.nanmean}[method](seen, axis=(4, 5))

    def relu(self, images, leak):
        return images * np.where(images < 0, np.float32(leak).reshape(-1, 1, 1), np.float32(1))

    def scale(self, images, factor, offset, mean):
        shift = 0 if mean is None else mean[:, None, None]
        scaled = (images - shift) * factor[:, None, None]
        return scaled if offset is None else scaled + offset[:, None, None]

    def normalize(self, images, size, kappa, alpha, beta):
        edges = [(0, 0), ((size - 1) // 2, size // 2), (0, 0), (0, 0)]
        sums = sliding_window_view(np.pad(images**2, edges), size, axis=1).sum(axis=-1)
        return np.float32(images / (kappa + alpha * sums) ** beta)

    def softmax(self, images):
        powers = np.exp(images - images.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def substitute(self, maps, filters, stride, dilate, groups):
        (count, _, h, w), (_, own, kh, kw) = maps.shape, filters.shape
        size = ((h - 1) * stride[0] + (kh - 1) * dilate[0] + 1,)
        size += ((w - 1) * stride[1] + (kw - 1) * dilate[1] + 1,)
        pictures = np.zeros((count, groups, own, *size), np.float32)
        for u, v in product(range(kh), range(kw)):
            rows = slice(u * dilate[0], u * dilate[0] + h * stride[0], stride[0])
            columns = slice(v * dilate[1], v * dilate[1] + w * stride[1], stride[1])
            by_group = maps.reshape(count, groups, -1, h, w)
            weights = filters[:, :, u, v].reshape(groups, -1, own)
            stamps = np.einsum("ngjyx,gjc->ngcyx", by_group, weights)
            pictures[..., rows, columns][..., :h, :w] += stamps
        return pictures.reshape(count, -1, *size)

    def unpool(self, maps, stride, window, method):
        if method == "window":
            share = np.full((maps.shape[1], 1, *window), 1 / np.prod(window), np.float32)
            return self.substitute(maps, share, stride, (1, 1), maps.shape[1])
        rows, columns = (
            framed(matrix(n, s, method), w - s)
            for n, s, w in zip(maps.shape[2:], stride, window, strict=True)
        )
        weighed = rows @ np.nan_to_num(maps) @ columns.T
        reached = (rows != 0) @ np.isnan(maps).astype(int) @ (columns != 0).T  # not by weights of 0
        return np.float32(np.where(reached > 0, np.nan, weighed))

    def filter_gradient(self, images, gradient, filters, stride, pad, dilate):
        seen = patches(images, filters.shape[2:], stride, pad, dilate)
        seen = seen[:, :, : gradient.shape[2], : gradient.shape[3]]
        groups = images.shape[1] // filters.shape[1]
        pairs = zip(np.split(seen, groups, 1), np.split(gradient, groups, 1), strict=True)
        return np.concatenate([np.einsum("ncyxij,nkyx->kcij", *pair) for pair in pairs])

    def pool_gradient(self, *arguments):
        return np.float32(naive.pool_gradient(*arguments))

    def compare(self, responses, predictions):
        sides = []
        for rows in (responses.astype(np.float64), predictions.astype(np.float64)):
            span = np.ptp(rows, axis=1, keepdims=True)
            possible = np.isfinite(span) & (span > 0)
            sides.append((rows - rows.min(1, keepdims=True)) / np.where(possible, span, np.nan))
        correlations = [np.corrcoef(*pair)[0, 1] for pair in zip(*sides, strict=True)]
        return np.stack([((sides[0] - sides[1]) ** 2).mean(1), correlations])


def patches(images, window, stride, pad, dilate, value=0):
    """Every window's pixels: (n, c, y, x, i, j)."""
    padded = np.pad(images, [(0, 0), (0, 0), pad[:2], pad[2:]], constant_values=value)
    reach = tuple((n - 1) * d + 1 for n, d in zip(window, dilate, strict=True))
    seen = sliding_window_view(padded, reach, axis=(2, 3))
    return seen[:, :, :: stride[0], :: stride[1], :: dilate[0], :: dilate[1]]


def framed(rows, border):
    """Put `border` rows of zeros around a matrix, or crop it; the odd one after."""
    before = abs(border) // 2
    if border >= 0:
        return np.pad(rows, ((before, border - before), (0, 0)))
    return rows[before : len(rows) + border + before]
