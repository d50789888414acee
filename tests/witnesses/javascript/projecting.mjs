// Section 3.3: what an activation of an image amounts to in the image.

import { Tensor, demand, demandFourAxes, demandNumber, stack } from "./arrays.mjs";
import { substitute } from "./convolving.mjs";
import { bnormFactors, normalizers, windowsOn } from "./layers.mjs";
import { mapsOf } from "./network.mjs";

export function project({ images, network, layer, kept, rule }) {
  demand(["gradient", "deconvnet", "guided", "linear"].includes(rule), `no such rule as ${rule}`);
  demandNumber(layer, 1, network.length + 1, "layer");
  demandFourAxes(images, "images");
  const below = network.slice(0, layer);
  const isChain = below.every(({ type, inputs }) => type in DOWN && !inputs);
  demand(isChain, "activations are projected through chains of section 2's layers");
  const softmaxes = below.some(({ type }) => type === "softmax");
  demand(!softmaxes || rule === "gradient", `${rule} does not go through a softmax`);
  const maps = mapsOf(images, below);
  return stack(kept.map((unit) => walkedDown(maps, below, unit, rule)));
}

/** The picture of one activation, [image, channel, row, column]. */
function walkedDown(maps, network, unit, rule) {
  const top = maps.at(-1);
  ["image", "channel", "row", "column"].forEach((what, axis) => {
    demandNumber(unit[axis], 0, top.shape[axis], what);
  });
  const [image, channel, row, column] = unit;
  const own = maps.map((map) => map.entry(image));
  let d = new Tensor([...own.at(-1).shape]);
  const at = row * top.shape[3] + column;
  d.plane(0, channel)[at] = own.at(-1).plane(0, channel)[at];
  for (let number = network.length; number > 0; number--) {
    const layer = network[number - 1];
    d = DOWN[layer.type]({ layer, x: own[number - 1], y: own[number], d, rule });
  }
  return d;
}

// What each type of layer hands down: d over its output y becomes d over x, which it took.
const DOWN = { conv, pool, relu, bnorm, normalize, softmax };

function conv({ layer, x, d }) {
  const picture = substitute({ ...layer, maps: d });
  const [top, , left] = layer.pad;
  const [, channels, height, width] = x.shape;
  const [, , rows, columns] = picture.shape;
  const below = new Tensor([...x.shape]);
  for (let c = 0; c < channels; c++) {
    const [from, to] = [picture.plane(0, c), below.plane(0, c)];
    for (let i = 0; i < Math.min(height, rows - top); i++) {
      for (let j = 0; j < Math.min(width, columns - left); j++) {
        to[i * width + j] = from[(i + top) * columns + j + left];
      }
    }
  }
  return below;
}

function pool({ layer, x, d }) {
  const [, channels, , width] = x.shape;
  const below = new Tensor([...x.shape]);
  const windows = windowsOn(x, layer);
  for (let c = 0; c < channels; c++) {
    const [values, from, to] = [x.plane(0, c), d.plane(0, c), below.plane(0, c)];
    windows.forEach((at, { rows, cols }) => {
      const pixels = [];
      for (let i = rows.first; i < rows.end; i++) {
        for (let j = cols.first; j < cols.end; j++) pixels.push(i * width + j);
      }
      if (layer.method === "avg") {
        pixels.forEach((pixel) => { to[pixel] += from[at] / pixels.length; });
      } else {
        const switched = pixels.reduce((a, b) => (values[b] > values[a] ? b : a));
        to[switched] += from[at];
      }
    });
  }
  return below;
}

function relu({ layer: { leak }, x, d, rule }) {
  return d.map((value, at) => {
    const conditions = {
      gradient: [x.data[at] > 0],
      deconvnet: [value > 0],
      guided: [x.data[at] > 0, value > 0],
      linear: [],
    };
    return conditions[rule].reduce((product, holds) => (holds ? product : product * leak), value);
  });
}

function bnorm({ layer, x, d }) {
  const factors = bnormFactors(layer, x);
  return d.mapChannels((value, c) => value * factors[c]);
}

function normalize({ layer, x, d, rule }) {
  if (rule !== "gradient") return d;
  const { size, alpha, beta } = layer;
  const s = normalizers(x, layer).data;
  const shares = new Tensor([...x.shape], d.data.map(
    (value, at) => value * x.data[at] / s[at] ** (beta + 1),
  ));
  const result = d.map((value, at) => value / s[at] ** beta);
  const channels = x.shape[1];
  for (let k = 0; k < channels; k++) {
    const [own, below] = [x.plane(0, k), result.plane(0, k)];
    const first = Math.max(k - Math.ceil((size - 1) / 2), 0);
    const last = Math.min(k + Math.floor((size - 1) / 2), channels - 1);
    for (let q = first; q <= last; q++) {
      shares.plane(0, q).forEach((share, at) => {
        below[at] -= 2 * alpha * beta * own[at] * share;
      });
    }
  }
  return result;
}

function softmax({ y, d }) {
  const [, channels, height, width] = y.shape;
  const sums = new Float64Array(height * width);
  for (let c = 0; c < channels; c++) {
    d.plane(0, c).forEach((value, at) => { sums[at] += value * y.plane(0, c)[at]; });
  }
  return y.map((value, at) => value * (d.data[at] - sums[at % (height * width)]));
}
