// Sections 5 and 6: where a layer sees, and how well its decoded filters predict it.

import { cutOut, demandFourAxes, demandNumber, demandPad, demandPair } from "./arrays.mjs";
import { correlate } from "./convolving.mjs";
import { decoded } from "./decoding.mjs";
import { mapsOf } from "./network.mjs";

/** 5.1: of layers { window, stride, pad }, from the input up. */
export function receptiveField({ network }) {
  let [size, stride, offset] = [[1, 1], [1, 1], [0, 0]];
  for (const layer of network) {
    demandPair(layer.window, 1, "a window");
    demandPair(layer.stride, 1, "a stride");
    demandPad(layer.pad);
    const jump = stride;
    size = size.map((n, axis) => n + (layer.window[axis] - 1) * jump[axis]);
    offset = offset.map((o, axis) => o - layer.pad[2 * axis] * jump[axis]);
    stride = jump.map((s, axis) => s * layer.stride[axis]);
  }
  return { size, stride, offset };
}

/** 5.2 */
export function respond({ images, bank, stride, offset, output }) {
  demandFourAxes(images, "images");
  demandFourAxes(bank, "decoded filters");
  demandPair(stride, 1, "a stride");
  demandPair(output, 1, "an output");
  demandPair(offset, -Infinity, "an offset");
  const size = [0, 1].map((axis) => (output[axis] - 1) * stride[axis] + bank.shape[2 + axis]);
  const seen = cutOut(images, offset, size);
  return correlate({
    images: seen, filters: bank, stride, pad: [0, 0, 0, 0], dilate: [1, 1], groups: 1,
  });
}

/** 6 */
export function evaluate({ images, network, layer, unpool }) {
  demandNumber(layer, 1, network.length + 1, "layer");
  const response = mapsOf(images, network.slice(0, layer)).at(-1);
  const filters = Array.from({ length: response.shape[1] }, (_, k) => k);
  const { pictures, origin, jump } = decoded({ network, layer, filters, unpool }).at(-1);
  const output = response.shape.slice(2);
  const predicted = respond({ images, bank: pictures, stride: jump, offset: origin, output });
  const pairs = Array.from({ length: images.shape[0] }, (_, n) => (
    [response.entry(n).data, predicted.entry(n).data]
  ));
  const errors = pairs.map(([r, q]) => squaredError(onUnitInterval(r), onUnitInterval(q)));
  const correlations = pairs.map(([r, q]) => correlation(r, q));
  const known = errors.filter((error) => !Number.isNaN(error));
  const mean = average(known);
  const std = Math.sqrt(average(known.map((error) => (error - mean) ** 2)));
  return { response, predicted, errors, correlations, mean, std };
}

function average(values) {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function onUnitInterval(values) {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return values.map((value) => (value - low) / (high - low)); // NaN where all are equal
}

function squaredError(a, b) {
  return average(a.map((value, at) => (value - b[at]) ** 2));
}

function correlation(a, b) {
  const apart = (values) => {
    const mean = average(values);
    return values.map((value) => value - mean);
  };
  const isConstant = (values) => values.every((value) => value === values[0]);
  if (isConstant(a) || isConstant(b)) return NaN; // the mean's rounding must not be correlated
  const [x, y] = [apart(a), apart(b)];
  const products = (p, q) => p.reduce((sum, value, at) => sum + value * q[at], 0);
  return products(x, y) / Math.sqrt(products(x, x) * products(y, y));
}
