// Sections 2.2 to 2.5 and 9.1: layers.

import {
  Tensor, cutOut, demand, demandFourAxes, demandPad, demandPair, outputSize,
} from "./arrays.mjs";
import { substitute } from "./convolving.mjs";

/** 2.2 */
export function pool({ images, window, stride, pad, method }) {
  const windows = windowsOn(images, { window, stride, pad, method });
  const { height, width } = windows;
  const [count, channels, , columns] = images.shape;
  const pooled = new Tensor([count, channels, height, width]);
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      const [image, result] = [images.plane(n, c), pooled.plane(n, c)];
      windows.forEach((at, { rows, cols }) => {
        let [largest, sum, pixels] = [-Infinity, 0, 0];
        for (let y = rows.first; y < rows.end; y++) {
          for (let x = cols.first; x < cols.end; x++) {
            largest = Math.max(largest, image[y * columns + x]); // a NaN makes it NaN
            sum += image[y * columns + x];
            pixels++;
          }
        }
        result[at] = method === "max" ? largest : sum / pixels;
      });
    }
  }
  return pooled;
}

/** The windows of a pool, clipped to the map: each with its number on the pooled map. */
export function windowsOn(images, { window, stride, pad, method }) {
  demandFourAxes(images, "images");
  demandPair(window, 1, "a window");
  demandPair(stride, 1, "a stride");
  demandPad(pad);
  demand(["max", "avg"].includes(method), `no such method as ${method}`);
  const seesNothing = pad.some((border, side) => border >= window[side < 2 ? 0 : 1]);
  demand(!seesNothing, `a window of ${window} in a padding of ${pad} may see no pixel`);
  const size = images.shape.slice(2);
  const [height, width] = outputSize(size, window, stride, pad);
  const clipped = (axis, index) => {
    const start = index * stride[axis] - pad[2 * axis];
    return { first: Math.max(start, 0), end: Math.min(start + window[axis], size[axis]) };
  };
  const forEach = (visit) => {
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++) visit(at++, { rows: clipped(0, y), cols: clipped(1, x) });
    }
  };
  return { height, width, forEach };
}

/** 2.3 */
export function relu({ images, leak }) {
  return images.map((x) => {
    if (x > 0 || Number.isNaN(x)) return x;
    return leak === 0 ? 0 : leak * x; // 0 * -Infinity would be NaN
  });
}

/** 2.4 */
export function normalize({ images, size, kappa, alpha, beta }) {
  const divisors = normalizers(images, { size, kappa, alpha });
  return images.map((x, at) => x / divisors.data[at] ** beta);
}

/** kappa + alpha * the sum of the squares near each channel. */
export function normalizers(images, { size, kappa, alpha }) {
  demandFourAxes(images, "images");
  demand(Number.isInteger(size) && size > 0, `a window of ${size} channels`);
  const [count, channels] = images.shape;
  const sums = new Tensor([...images.shape]);
  for (let n = 0; n < count; n++) {
    for (let k = 0; k < channels; k++) {
      const sum = sums.plane(n, k).fill(kappa);
      const first = Math.max(k - Math.floor((size - 1) / 2), 0);
      const last = Math.min(k + Math.ceil((size - 1) / 2), channels - 1);
      for (let q = first; q <= last; q++) {
        images.plane(n, q).forEach((x, at) => { sum[at] += alpha * x * x; });
      }
    }
  }
  return sums;
}

/** 2.5 */
export function bnorm({ images, gain, bias, moments }) {
  const factors = bnormFactors({ gain, bias, moments }, images);
  return images.mapChannels((x, c) => factors[c] * (x - moments.data[2 * c]) + bias.data[c]);
}

/** gain / deviation of each channel. */
export function bnormFactors({ gain, bias, moments }, images) {
  demandFourAxes(images, "images");
  const channels = images.shape[1];
  const fit = `${gain.shape}` === `${channels}` && `${bias.shape}` === `${channels}`;
  demand(fit && `${moments.shape}` === `${[channels, 2]}`, `a bnorm not of ${channels} channels`);
  return gain.data.map((factor, c) => factor / moments.data[2 * c + 1]);
}

export function softmax({ images }) {
  demandFourAxes(images, "images");
  const [count, channels, height, width] = images.shape;
  const result = new Tensor([...images.shape]);
  for (let n = 0; n < count; n++) {
    for (let at = 0; at < height * width; at++) {
      const values = Array.from({ length: channels }, (_, c) => images.plane(n, c)[at]);
      const largest = Math.max(...values); // so that no exponential overflows
      const powers = values.map((x) => Math.exp(x - largest));
      const total = powers.reduce((a, b) => a + b, 0);
      powers.forEach((power, c) => { result.plane(n, c)[at] = power / total; });
    }
  }
  return result;
}

/** 9.1: ConvTranspose */
export function convt({ images, filters, bias = null, upsample, crop, groups }) {
  demandPad(crop);
  const large = substitute({ maps: images, filters, stride: upsample, dilate: [1, 1], groups });
  const [, channels, rows, columns] = large.shape;
  const [top, bottom, left, right] = crop;
  const size = [rows - top - bottom, columns - left - right];
  demand(Math.min(...size) > 0, `a crop of ${crop} leaves nothing of ${rows} x ${columns}`);
  demand(!bias || `${bias.shape}` === `${channels}`, `${channels} channels, other biases`);
  const response = cutOut(large, [top, left], size);
  return bias ? response.mapChannels((x, c) => x + bias.data[c]) : response;
}

/** 9.1: Scale of one map */
export function scale({ images, factor, offset = null }) {
  demandFourAxes(images, "images");
  const channels = images.shape[1];
  const fits = (array) => `${array.shape}` === `${channels}`;
  demand(fits(factor) && (!offset || fits(offset)), `a scale not of ${channels} channels`);
  return images.mapChannels((x, c) => factor.data[c] * x + (offset ? offset.data[c] : 0));
}

export function sigmoid({ images }) {
  return images.map((x) => 1 / (1 + Math.exp(-x)));
}

export function dropout({ images }) {
  return images;
}

// Layers that join several maps of the same height and width.

export function sum({ maps }) {
  return pixelByPixel(maps, (a, b) => a + b);
}

/** 9.1: Scale of two maps */
export function product({ maps }) {
  demand(maps.length === 2, `a product of ${maps.length} maps`);
  return pixelByPixel(maps, (a, b) => a * b);
}

function pixelByPixel(maps, operation) {
  const [first, ...others] = maps;
  return others.reduce((joined, map) => {
    demand(`${map.shape}` === `${joined.shape}`, `maps of ${joined.shape} and of ${map.shape}`);
    return joined.map((x, at) => operation(x, map.data[at]));
  }, first);
}

export function concat({ maps }) {
  const sizeOf = ({ shape: [count, , height, width] }) => `${[count, height, width]}`;
  maps.forEach((map) => demand(sizeOf(map) === sizeOf(maps[0]), "maps of different sizes"));
  const [count, , height, width] = maps[0].shape;
  const channels = maps.reduce((total, map) => total + map.shape[1], 0);
  const joined = new Tensor([count, channels, height, width]);
  for (let n = 0, at = 0; n < count; n++) {
    for (const map of maps) {
      const { data } = map.entry(n);
      joined.data.set(data, at);
      at += data.length;
    }
  }
  return joined;
}
