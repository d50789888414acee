// What all share: arrays, and the refusal of what cannot be computed.

/** What an operation raises where section 7 wants a refusal; any other error is a bug of ours. */
export class Refusal extends Error {}

export function demand(fits, otherwise) {
  if (!fits) throw new Refusal(otherwise);
}

/** Numbers in C order. They are computed in float64, and rounded once when they are written. */
export class Tensor {
  constructor(shape, data = new Float64Array(shape.reduce((a, b) => a * b, 1))) {
    this.shape = shape;
    this.data = data;
  }

  /** The rows and columns of one channel: a view, H * W numbers. */
  plane(n, c) {
    const [, channels, height, width] = this.shape;
    const start = (n * channels + c) * height * width;
    return this.data.subarray(start, start + height * width);
  }

  /** One entry of the first axis, as a tensor with one entry: a view. */
  entry(n) {
    const [, ...rest] = this.shape;
    const length = this.data.length / this.shape[0];
    return new Tensor([1, ...rest], this.data.subarray(n * length, (n + 1) * length));
  }

  copy() {
    return new Tensor([...this.shape], this.data.slice());
  }

  map(change) {
    return new Tensor([...this.shape], this.data.map(change));
  }

  /** Every channel by itself: change(value, channel). */
  mapChannels(change) {
    const [, channels, height, width] = this.shape;
    return this.map((value, at) => change(value, Math.floor(at / (height * width)) % channels));
  }
}

/** Entries of the same shape, one after the other along the first axis. */
export function stack(entries) {
  const [, ...rest] = entries[0].shape;
  const joined = new Tensor([entries.length, ...rest]);
  const { length } = entries[0].data;
  entries.forEach((entry, n) => joined.data.set(entry.data, n * length));
  return joined;
}

/** The part of images that begins at [row, column] and is as large as `size`, 0 outside them. */
export function cutOut(images, [top, left], [rows, columns]) {
  const [count, channels, height, width] = images.shape;
  const part = new Tensor([count, channels, rows, columns]);
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      const [from, to] = [images.plane(n, c), part.plane(n, c)];
      for (let y = Math.max(0, -top); y < Math.min(rows, height - top); y++) {
        for (let x = Math.max(0, -left); x < Math.min(columns, width - left); x++) {
          to[y * columns + x] = from[(y + top) * width + x + left];
        }
      }
    }
  }
  return part;
}

export function demandFourAxes(tensor, what) {
  demand(tensor?.shape?.length === 4, `${what} have four axes, not ${tensor?.shape}`);
}

export function demandPair(pair, least, what) {
  const whole = Array.isArray(pair) && pair.length === 2 && pair.every(Number.isInteger);
  demand(whole && Math.min(...pair) >= least, `${what} is two numbers from ${least}, not ${pair}`);
}

export function demandPad(pad) {
  const whole = Array.isArray(pad) && pad.length === 4 && pad.every(Number.isInteger);
  demand(whole && Math.min(...pad) >= 0, `a pad is four numbers from 0, not ${pad}`);
}

export function demandNumber(number, least, end, what) {
  const there = Number.isInteger(number) && least <= number && number < end;
  demand(there, `there is no ${what} ${number}: they are ${least} to ${end - 1}`);
}

/** The pixels [height, width] that a dilated filter spans. */
export function spanOf(filters, dilate) {
  return dilate.map((step, axis) => (filters.shape[2 + axis] - 1) * step + 1);
}

/** Section 2.1: how many windows fit along each axis. */
export function outputSize(size, window, stride, [top, bottom, left, right]) {
  return [top + bottom, left + right].map((pad, axis) => {
    const room = size[axis] + pad - window[axis];
    demand(room >= 0, `a window of ${window} on a map of ${size} that is padded by ${pad}`);
    return Math.floor(room / stride[axis]) + 1;
  });
}
