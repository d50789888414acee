// Sections 2.6 and 9.1: networks, chains and others. Layer l makes map l; map 0 are the images.

import { demand, demandNumber, outputSize, spanOf } from "./arrays.mjs";
import { correlate } from "./convolving.mjs";
import * as layers from "./layers.mjs";

const OF_ONE_MAP = {
  conv: correlate,
  pool: layers.pool,
  relu: layers.relu,
  normalize: layers.normalize,
  bnorm: layers.bnorm,
  softmax: layers.softmax,
  convt: layers.convt,
  scale: layers.scale,
  sigmoid: layers.sigmoid,
  dropout: layers.dropout,
};
const OF_SEVERAL = { sum: layers.sum, concat: layers.concat, product: layers.product };

/** The numbers of the maps that layer l takes: the one before, if it does not say. */
export function taken(network, number) {
  const { type, inputs = [number - 1] } = network[number - 1];
  demand(type in OF_ONE_MAP || type in OF_SEVERAL, `no such layer as ${type}`);
  const fits = inputs.length === 1 || (type in OF_SEVERAL && inputs.length > 0);
  demand(fits, `layer ${number}, a ${type}, takes ${inputs.length} maps`);
  inputs.forEach((map) => demandNumber(map, 0, number, "map"));
  return inputs;
}

/** All maps of a network: the images, then what each of its layers gives. */
export function mapsOf(images, network) {
  const maps = [images];
  network.forEach(({ type, ...parameters }, at) => {
    const own = taken(network, at + 1).map((map) => maps[map]);
    maps.push(type in OF_SEVERAL
      ? OF_SEVERAL[type]({ maps: own })
      : OF_ONE_MAP[type]({ images: own[0], ...parameters }));
  });
  return maps;
}

/** 2.6 */
export function forward({ images, network, layers: asked }) {
  const maps = mapsOf(images, network);
  const numbers = asked ?? network.map((_, at) => at + 1);
  return Object.fromEntries(numbers.map((number) => [`layer${number}`, maps[number]]));
}

/** The [height, width] of every map, for images of a size. */
export function mapSizes(network, imageSize) {
  const sizes = [imageSize];
  network.forEach((layer, at) => {
    const [first, ...others] = taken(network, at + 1).map((map) => sizes[map]);
    others.forEach((size) => demand(`${size}` === `${first}`, `maps of ${first} and of ${size}`));
    sizes.push(sizeAbove(layer, first));
  });
  return sizes;
}

function sizeAbove({ type, filters, dilate, window, stride, pad, upsample, crop }, size) {
  if (type === "conv") return outputSize(size, spanOf(filters, dilate), stride, pad);
  if (type === "pool") return outputSize(size, window, stride, pad);
  if (type !== "convt") return size;
  return size.map((n, axis) => {
    const whole = (n - 1) * upsample[axis] + filters.shape[2 + axis];
    return whole - crop[2 * axis] - crop[2 * axis + 1];
  });
}

/** How many channels map l has; those of the images where their first user with weights tells. */
export function channelsOf(network, number) {
  if (number === 0) return imageChannels(network);
  const { type, filters, groups } = network[number - 1];
  if (type === "conv") return filters.shape[0];
  if (type === "convt") return filters.shape[1] * groups;
  const below = taken(network, number).map((map) => channelsOf(network, map));
  return type === "concat" ? below.reduce((a, b) => a + b, 0) : below[0];
}

function imageChannels(network) {
  const first = network.find(({ filters, gain, factor }) => filters ?? gain ?? factor);
  demand(first, "no layer tells how many channels the images have");
  const { type, filters, groups, gain, factor } = first;
  if (type === "conv") return filters.shape[1] * groups;
  return (filters ?? gain ?? factor).shape[0];
}
