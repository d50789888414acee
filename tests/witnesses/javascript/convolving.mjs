// Sections 2.1 and 3.1: correlation, and substitution, its transpose.

import {
  Tensor, cutOut, demand, demandFourAxes, demandPad, demandPair, outputSize, spanOf,
} from "./arrays.mjs";

/** 2.1 */
export function correlate({ images, filters, bias = null, stride, pad, dilate, groups }) {
  demandFourAxes(images, "images");
  demandPair(stride, 1, "a stride");
  demandPad(pad);
  const perFilter = demandFilters(filters, groups, dilate);
  const [count, channels, ...size] = images.shape;
  const [filterCount, , kernelHeight, kernelWidth] = filters.shape;
  demand(channels === perFilter * groups, `images of ${channels} channels, not ${perFilter}`);
  demand(!bias || `${bias.shape}` === `${[filterCount]}`, `${filterCount} filters, other biases`);
  const [height, width] = outputSize(size, spanOf(filters, dilate), stride, pad);
  const [top, bottom, left, right] = pad;
  const padded = cutOut(images, [-top, -left], [top + size[0] + bottom, left + size[1] + right]);
  const response = new Tensor([count, filterCount, height, width]);
  const each = filterCount / groups;
  for (let n = 0; n < count; n++) {
    for (let k = 0; k < filterCount; k++) {
      const sums = response.plane(n, k);
      if (bias) sums.fill(bias.data[k]);
      for (let c = 0; c < perFilter; c++) {
        const image = padded.plane(n, perFilter * Math.floor(k / each) + c);
        const weights = filters.plane(k, c);
        for (let i = 0; i < kernelHeight; i++) {
          for (let j = 0; j < kernelWidth; j++) {
            const weight = weights[i * kernelWidth + j];
            for (let y = 0, at = 0; y < height; y++) {
              let from = (y * stride[0] + i * dilate[0]) * padded.shape[3] + j * dilate[1];
              for (let x = 0; x < width; x++, from += stride[1]) sums[at++] += weight * image[from];
            }
          }
        }
      }
    }
  }
  return response;
}

/** The channels of a filter, if groups divide their number. */
export function demandFilters(filters, groups, dilate) {
  demandFourAxes(filters, "filters");
  demandPair(dilate, 1, "a dilation");
  const fits = Number.isInteger(groups) && groups > 0 && filters.shape[0] % groups === 0;
  demand(fits, `${filters.shape[0]} filters in ${groups} groups`);
  return filters.shape[1];
}

/** 3.1 */
export function substitute({ maps, filters, stride, dilate, groups }) {
  demandFourAxes(maps, "maps");
  demandPair(stride, 1, "a stride");
  const perFilter = demandFilters(filters, groups, dilate);
  const [count, filterCount, height, width] = maps.shape;
  demand(filterCount === filters.shape[0], `${filterCount} channels, ${filters.shape[0]} filters`);
  const span = spanOf(filters, dilate);
  const [rows, columns] = [height, width].map((n, axis) => (n - 1) * stride[axis] + span[axis]);
  const pictures = new Tensor([count, perFilter * groups, rows, columns]);
  const [, , kernelHeight, kernelWidth] = filters.shape;
  const each = filterCount / groups;
  for (let n = 0; n < count; n++) {
    for (let j = 0; j < filterCount; j++) {
      const map = maps.plane(n, j);
      for (let c = 0; c < perFilter; c++) {
        const picture = pictures.plane(n, perFilter * Math.floor(j / each) + c);
        const weights = filters.plane(j, c);
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            const value = map[y * width + x];
            for (let u = 0; u < kernelHeight; u++) {
              const to = (y * stride[0] + u * dilate[0]) * columns + x * stride[1];
              for (let v = 0; v < kernelWidth; v++) {
                picture[to + v * dilate[1]] += value * weights[u * kernelWidth + v];
              }
            }
          }
        }
      }
    }
  }
  return pictures;
}
