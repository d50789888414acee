// Section 4: the pictures of a map are enlarged.

import { Tensor, demand, demandFourAxes, demandPair } from "./arrays.mjs";

export function demandMethod(method) {
  demand(method in KERNELS || method === "window", `no such method as ${method}`);
}

/**
 * 4. Where pictures lie `on` a map that cuts windows, { origin: [row, column] of the pictures, pad
 * of the pool, size of the map below }, `window` shares with the pixels on that map alone.
 */
export function unpool({ maps, stride, window, method, on = null }) {
  demandFourAxes(maps, "maps");
  demandPair(stride, 1, "a stride");
  demandPair(window, 1, "a window");
  demandMethod(method);
  const outputs = [0, 1].map((axis) => {
    const sizes = [maps.shape[2 + axis], stride[axis], window[axis]];
    if (method !== "window") return enlarging(...sizes, KERNELS[method]);
    return shares(...sizes, (index) => {
      if (!on) return window[axis];
      const first = (on.origin[axis] + index) * stride[axis] - on.pad[2 * axis];
      return Math.min(first + window[axis], on.size[axis]) - Math.max(first, 0);
    });
  });
  return alongRows(alongColumns(maps, outputs[0]), outputs[1]);
}

// Rows and columns are independent. For either, a list has for each output pixel the input pixels
// that it is made of, each with its weight; one that weighs 0 is not there.

/** `window`: an equal share for every pixel of each input's window. */
function shares(size, stride, window, pixelsOf) {
  return Array.from({ length: (size - 1) * stride + window }, (_, o) => {
    const inputs = Array.from({ length: size }, (__, index) => index);
    const seen = inputs.filter((index) => index * stride <= o && o < index * stride + window);
    return seen.map((index) => ({ index, weight: 1 / pixelsOf(index) }));
  });
}

/** The paper's methods: enlarged by the stride as imresize does, then centred, or cropped. */
function enlarging(size, stride, window, kernel) {
  const enlarged = Array.from({ length: size * stride }, (_, o) => kernel(o, stride).map(
    ({ index, weight }) => ({ index: mirrored(index, size), weight }),
  ).filter(({ weight }) => weight !== 0));
  const before = Math.trunc((window - stride) / 2); // the odd one comes, or goes, at the end
  const length = (size - 1) * stride + window;
  return Array.from({ length }, (_, o) => enlarged[o - before] ?? []);
}

/** Beyond the border -1 is 0, -2 is 1, `size` is `size` - 1, with period 2 `size`. */
function mirrored(index, size) {
  const inPeriod = ((index % (2 * size)) + 2 * size) % (2 * size);
  return inPeriod < size ? inPeriod : 2 * size - 1 - inPeriod;
}

const KERNELS = {
  nearest: (o, stride) => [{ index: Math.floor(o / stride), weight: 1 }],
  bilinear: sampled((t) => (t < 1 ? 1 - t : 0)),
  bicubic: sampled((t) => {
    if (t <= 1) return 1.5 * t ** 3 - 2.5 * t ** 2 + 1;
    return t <= 2 ? -0.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2 : 0;
  }),
};

/** The inputs around output o, each weighed by k of its distance. */
function sampled(k) {
  return (o, stride) => {
    const u = (o + 0.5) / stride - 0.5;
    const near = [-2, -1, 0, 1, 2].map((step) => Math.floor(u) + step);
    return near.map((index) => ({ index, weight: k(Math.abs(u - index)) }));
  };
}

function alongColumns(maps, outputs) {
  const [count, channels, , width] = maps.shape;
  const result = new Tensor([count, channels, outputs.length, width]);
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      const [from, to] = [maps.plane(n, c), result.plane(n, c)];
      outputs.forEach((inputs, o) => inputs.forEach(({ index, weight }) => {
        for (let x = 0; x < width; x++) to[o * width + x] += weight * from[index * width + x];
      }));
    }
  }
  return result;
}

function alongRows(maps, outputs) {
  const [count, channels, height, width] = maps.shape;
  const result = new Tensor([count, channels, height, outputs.length]);
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      const [from, to] = [maps.plane(n, c), result.plane(n, c)];
      outputs.forEach((inputs, o) => inputs.forEach(({ index, weight }) => {
        for (let y = 0; y < height; y++) {
          to[y * outputs.length + o] += weight * from[y * width + index];
        }
      }));
    }
  }
  return result;
}
