// Section 10: a square over the image, and what the network still says.

import { Tensor, demand, demandFourAxes, demandNumber, demandPair } from "./arrays.mjs";
import { softmax } from "./layers.mjs";
import { mapsOf } from "./network.mjs";

export function occlude({ images, network, size, stride, value, layer, labels }) {
  demandFourAxes(images, "images");
  demandPair(size, 1, "a size");
  demandPair(stride, 1, "a stride");
  demandNumber(layer, 1, network.length + 1, "layer");
  const [count, channels, height, width] = images.shape;
  demand(labels.length === count, `${labels.length} labels for ${count} images`);
  demand(size[0] <= height && size[1] <= width, `a square of ${size} on ${height} x ${width}`);
  const [rows, columns] = [height, width].map(
    (pixels, axis) => Math.floor((pixels - size[axis]) / stride[axis]) + 1,
  );
  const shape = [count, rows, columns];
  const found = {
    map: [],
    activity: new Tensor(shape),
    probability: new Tensor(shape),
    label: new Tensor(shape),
  };
  for (let n = 0, at = 0; n < count; n++) {
    const image = images.entry(n);
    const shown = value === "background" ? background(image) : [value].flat();
    demand(shown.length === channels, `${shown.length} numbers for ${channels} channels`);
    const strongest = firstLargest(channelSums(mapsOf(image, network.slice(0, layer)).at(-1)));
    found.map.push(strongest);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, at++) {
        const corner = [row * stride[0], column * stride[1]];
        const maps = mapsOf(withSquare(image, corner, size, shown), network);
        const scores = probabilities(maps.at(-1), network);
        demandNumber(labels[n], 0, scores.length, "class");
        found.activity.data[at] = channelSums(maps[layer])[strongest];
        found.probability.data[at] = scores[labels[n]];
        found.label.data[at] = firstLargest(scores);
      }
    }
  }
  return found;
}

/** For each channel the median of the image's outermost pixels. */
function background(image) {
  const [, channels, height, width] = image.shape;
  return Array.from({ length: channels }, (_, c) => {
    const outermost = image.plane(0, c).filter((__, at) => {
      const [y, x] = [Math.floor(at / width), at % width];
      return y === 0 || y === height - 1 || x === 0 || x === width - 1;
    });
    const sorted = outermost.sort(); // a typed array's numbers are sorted as numbers
    const middle = sorted.length / 2;
    return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
  });
}

function withSquare(image, [top, left], [height, width], shown) {
  const copy = image.copy();
  const columns = image.shape[3];
  shown.forEach((value, c) => {
    const plane = copy.plane(0, c);
    for (let y = top; y < top + height; y++) {
      plane.fill(value, y * columns + left, y * columns + left + width);
    }
  });
  return copy;
}

function channelSums(map) {
  return Array.from({ length: map.shape[1] }, (_, c) => map.plane(0, c).reduce((a, b) => a + b, 0));
}

/** Of each class, averaged over the pixels of the network's output. */
function probabilities(output, network) {
  const every = network.at(-1).type === "softmax" ? output : softmax({ images: output });
  return channelSums(every).map((sum) => sum / (every.shape[2] * every.shape[3]));
}

function firstLargest(values) {
  return values.reduce((best, value, at) => (value > values[best] ? at : best), 0);
}
