// Sections 3.2, 9.2 and 9.3: the way down of a unit. A chain is decoded as any other network.
//
// A picture here is { pictures, origin, jump }: pictures over a map, the [row, column] of that map
// where they begin, and by how much a neighbouring unit's are moved.

import { Tensor, cutOut, demand, demandNumber, demandPair, spanOf } from "./arrays.mjs";
import { demandFilters, substitute } from "./convolving.mjs";
import { bnormFactors } from "./layers.mjs";
import { channelsOf, mapSizes, taken } from "./network.mjs";
import { demandMethod, unpool } from "./unpooling.mjs";

/** 3.2 */
export function decode({ stages, origin, ...asked }) {
  const found = decoded(asked);
  const numbers = stages ?? found.map((_, at) => at + 1);
  const outputs = numbers.map((stage) => [`stage${stage}`, found[stage - 1].pictures]);
  if (origin) outputs.push(["origin", found.at(-1).origin]);
  return Object.fromEntries(outputs);
}

/**
 * The stages, the decoded filters last. With the size of the images, `position` is the unit's
 * place on its map, and what it sees is cut off where the maps end.
 */
export function decoded({ network, layer, filters, unpool: method, position, input_size: size }) {
  demandNumber(layer, 1, network.length + 1, "layer");
  demandMethod(method);
  const own = network.slice(0, layer);
  const sizes = size ? mapSizes(own, size) : null;
  const cut = position ? sizes : null;
  const moves = [0, 1].filter((axis) => !sizes || sizes[layer][axis] > 1); // has neighbours
  if (position) {
    demandPair(position, 0, "a position");
    position.forEach((at, axis) => demandNumber(at, 0, sizes[layer][axis], "row or column"));
  }
  const pools = { method, steps: poolSteps(own, sizes), ...copies(own, sizes, method) };
  const reached = own.map(() => []).concat([[]]); // what has been handed down to each map
  const start = startOf(own, filters, position ?? [0, 0]);
  reached[start.map].push(start);
  const stages = [];
  for (let number = start.map; number >= 0; number--) {
    if (reached[number].length === 0) continue;
    const united = clipped(unite(reached[number], moves), cut?.[number]);
    stages.push(united);
    if (number > 0) {
      taken(own, number).forEach((map, turn) => {
        reached[map].push(handedDown(own, number, { turn, cut: cut?.[map] }, united, pools));
      });
    }
  }
  const last = stages.at(-1);
  last.pictures = last.pictures.map((value) => value * pools.fewest);
  return stages;
}

/** The unit's picture to begin with, and the number of the map over which it is. */
function startOf(network, chosen, position) {
  const number = network.length;
  const layer = network[number - 1];
  if (layer.type === "conv") {
    const [map] = taken(network, number);
    const origin = position.map((at, axis) => at * layer.stride[axis] - layer.pad[2 * axis]);
    return { map, pictures: asPictures(layer, chosen), origin, jump: [...layer.stride] };
  }
  const pictures = new Tensor([chosen.length, channelsOf(network, number), 1, 1]);
  chosen.forEach((k, n) => {
    demandNumber(k, 0, pictures.shape[1], "channel");
    pictures.plane(n, k)[0] = 1;
  });
  return { map: number, pictures, origin: position, jump: [1, 1] };
}

/** Filters over all channels of the map that their layer takes, 0 where they see nothing. */
function asPictures({ filters, dilate, groups }, chosen) {
  const perFilter = demandFilters(filters, groups, dilate);
  const each = filters.shape[0] / groups;
  const [height, width] = spanOf(filters, dilate);
  const [, , kernelHeight, kernelWidth] = filters.shape;
  const pictures = new Tensor([chosen.length, perFilter * groups, height, width]);
  chosen.forEach((k, n) => {
    demandNumber(k, 0, filters.shape[0], "filter");
    for (let c = 0; c < perFilter; c++) {
      const plane = pictures.plane(n, perFilter * Math.floor(k / each) + c);
      const weights = filters.plane(k, c);
      for (let i = 0; i < kernelHeight; i++) {
        for (let j = 0; j < kernelWidth; j++) {
          plane[i * dilate[0] * width + j * dilate[1]] = weights[i * kernelWidth + j];
        }
      }
    }
  });
  return pictures;
}

/**
 * Pictures that add, each at its origin, in the smallest box that holds them all. Along the axes
 * `moves` units have neighbours, whose pictures must be moved alike.
 */
function unite(handed, moves) {
  const [{ pictures: { shape: [count, channels] }, jump }] = handed;
  const origin = [0, 1].map((axis) => Math.min(...handed.map((one) => one.origin[axis])));
  const size = [0, 1].map((axis) => Math.max(
    ...handed.map((one) => one.origin[axis] + one.pictures.shape[2 + axis]),
  ) - origin[axis]);
  const sum = new Tensor([count, channels, ...size]);
  for (const one of handed) {
    const alike = moves.every((axis) => one.jump[axis] === jump[axis]);
    demand(alike, `a neighbour is moved by ${jump} and by ${one.jump}`);
    demand(one.pictures.shape[1] === channels, `${channels} and ${one.pictures.shape[1]} channels`);
    const start = origin.map((o, axis) => o - one.origin[axis]);
    cutOut(one.pictures, start, size).data.forEach((value, at) => { sum.data[at] += value; });
  }
  return { pictures: sum, origin, jump };
}

/** What of pictures lies on a map of a size; where nothing does, its nearest row or column. */
function clipped(picture, size) {
  if (!size) return picture;
  const { pictures, origin } = picture;
  const first = origin.map((o, axis) => Math.min(Math.max(o, 0), size[axis] - 1));
  const rest = first.map(
    (at, axis) => Math.max(Math.min(origin[axis] + pictures.shape[2 + axis], size[axis]) - at, 1),
  );
  const start = first.map((at, axis) => at - origin[axis]);
  return { ...picture, pictures: cutOut(pictures, start, rest), origin: first };
}

/** What a layer's picture becomes over the map that it takes at its turn. */
function handedDown(network, number, { turn, cut }, picture, pools) {
  const layer = network[number - 1];
  const { pictures, origin, jump } = picture;
  const moved = (steps, pad) => ({
    origin: origin.map((o, axis) => o * steps[axis] - pad[2 * axis]),
    jump: jump.map((n, axis) => n * steps[axis]),
  });
  if (layer.type === "conv") {
    const below = substitute({ ...layer, maps: pictures });
    return { pictures: below, ...moved(layer.stride, layer.pad) };
  }
  if (layer.type === "pool") {
    const { method, steps, divisors } = pools;
    const on = cut ? { origin, pad: layer.pad, size: cut } : null;
    const stride = steps[number];
    const below = unpool({ maps: pictures, stride, window: layer.window, method, on });
    const shared = below.map((value) => value / divisors[number]);
    return { pictures: shared, ...moved(stride, layer.pad) };
  }
  if (layer.type === "convt") return throughConvt(layer, picture);
  return { ...picture, pictures: throughPixels(network, number, turn, pictures) };
}

/** Layers that do not look beyond their pixel. */
function throughPixels(network, number, turn, pictures) {
  const layer = network[number - 1];
  if (layer.type === "bnorm") {
    const factors = bnormFactors(layer, pictures);
    return pictures.mapChannels((value, c) => value * factors[c]);
  }
  if (layer.type === "scale") {
    return pictures.mapChannels((value, c) => value * layer.factor.data[c]);
  }
  demand(layer.type !== "product", "a product of two maps has no filter");
  if (layer.type !== "concat") return pictures;
  const channels = taken(network, number).map((map) => channelsOf(network, map));
  const first = channels.slice(0, turn).reduce((a, b) => a + b, 0);
  const [count, , height, width] = pictures.shape;
  const own = new Tensor([count, channels[turn], height, width]);
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels[turn]; c++) own.plane(n, c).set(pictures.plane(n, first + c));
  }
  return own;
}

/** Correlation with the filters, from the first pixel that is reached to the last. */
function throughConvt({ filters, upsample, crop, groups }, { pictures, origin, jump }) {
  const perGroup = filters.shape[1]; // channels of the map above, c's group's
  const [count, , ...size] = pictures.shape;
  const [channels, , ...kernel] = filters.shape;
  const [first, last] = [[], []];
  for (const axis of [0, 1]) {
    const [t, u] = [crop[2 * axis], upsample[axis]];
    last.push(Math.floor((origin[axis] + size[axis] - 1 + t) / u));
    // Filters may leave gaps; one of 0 remains there.
    first.push(Math.min(Math.ceil((origin[axis] + t - kernel[axis] + 1) / u), last[axis]));
  }
  const [rows, columns] = [0, 1].map((axis) => last[axis] - first[axis] + 1);
  const below = new Tensor([count, channels, rows, columns]);
  // The first row, or column, of the picture that the filter's first one meets at i.
  const begin = (axis, i) => (first[axis] + i) * upsample[axis] - crop[2 * axis] - origin[axis];
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      const group = Math.floor(c / (channels / groups));
      const sums = below.plane(n, c);
      for (let k = 0; k < perGroup; k++) {
        const [picture, weights] = [pictures.plane(n, group * perGroup + k), filters.plane(c, k)];
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            for (let a = 0; a < kernel[0]; a++) {
              for (let b = 0; b < kernel[1]; b++) {
                const [y, x] = [begin(0, i) + a, begin(1, j) + b];
                if (y < 0 || y >= size[0] || x < 0 || x >= size[1]) continue;
                sums[i * columns + j] += picture[y * size[1] + x] * weights[a * kernel[1] + b];
              }
            }
          }
        }
      }
    }
  }
  return { pictures: below, origin: first, jump: jump.map((n, axis) => n / upsample[axis]) };
}

/** 9.3: how far apart each pool's pixels are spread: by the window where its map has one row. */
function poolSteps(network, sizes) {
  return [null, ...network.map(({ type, window, stride }, at) => {
    if (type !== "pool" || !sizes) return stride;
    return stride.map((step, axis) => (sizes[at + 1][axis] === 1 ? window[axis] : step));
  })];
}

/** 9.3: by how much pools divide, and what is made good for at the end. */
function copies(network, sizes, method) {
  const steps = poolSteps(network, sizes);
  const copiesOf = ([vertical, horizontal]) => vertical * horizontal;
  const own = network.map(({ type }, at) => (type === "pool" ? copiesOf(steps[at + 1]) : 1));
  // For each map the least and the largest product of copies along the ways from there to map 0.
  const ranges = [[1, 1]];
  network.forEach((_, at) => {
    const below = taken(network, at + 1).map((map) => ranges[map]);
    const least = Math.min(...below.map(([low]) => low));
    const most = Math.max(...below.map(([, high]) => high));
    ranges.push([least * own[at], most * own[at]]);
  });
  const [least, most] = ranges.at(-1);
  const uneven = least !== most && method !== "window";
  return { divisors: [1, ...own.map((n) => (uneven ? n : 1))], fewest: uneven ? least : 1 };
}
