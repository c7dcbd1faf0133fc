// Bicubic resizing as Pillow does it, to the byte.
//
// The weights are those of a cubic convolution with a = -0.5 (R. Keys, Cubic convolution
// interpolation for digital image processing, 1981). When a picture becomes smaller, the kernel is
// as much wider, so that each pixel counts. As in Pillow the weights are rounded to whole numbers,
// one direction is resized before the other, and between the two are bytes again.
//
// A picture here is { data, width, height }: four bytes a pixel, of which the fourth is not read.

const A = -0.5;
const SUPPORT = 2; // pixels to either side, at the size of the result
const ONE = 2 ** 22; // what the weights of a pixel add up to, as whole numbers

function weigh(distance) {
  const x = Math.abs(distance);
  if (x < 1) return ((A + 2) * x - (A + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * A;
  return 0;
}

// For each of `count` new pixels along a line: the first old one that it is made of, and the weights.
function weighLine(length, from, to, count) {
  const step = Math.fround(to - from) / count;
  const widening = Math.max(step, 1);
  const reach = SUPPORT * widening;
  const line = [];
  for (let pixel = 0; pixel < count; pixel += 1) {
    const center = from + (pixel + 0.5) * step;
    const first = Math.max(Math.trunc(center - reach + 0.5), 0);
    const last = Math.min(Math.trunc(center + reach + 0.5), length);
    const shares = [];
    let sum = 0;
    for (let old = first; old < last; old += 1) {
      // Times the inverse, not divided: the last bit is Pillow's.
      shares.push(weigh((old - center + 0.5) * (1 / widening)));
      sum += shares.at(-1);
    }
    const weights = shares.map((share) => {
      const exact = (share / sum) * ONE;
      return Math.trunc(exact < 0 ? exact - 0.5 : exact + 0.5);
    });
    line.push({ first, weights: Int32Array.from(weights) });
  }
  return line;
}

// Puts the sum of some pixels, `stride` bytes apart, at a place of `made`, which clips it to bytes.
function mix(data, start, stride, weights, made, place) {
  let [red, green, blue] = [ONE / 2, ONE / 2, ONE / 2]; // for rounding
  for (let n = 0, at = start; n < weights.length; n += 1, at += stride) {
    red += data[at] * weights[n];
    green += data[at + 1] * weights[n];
    blue += data[at + 2] * weights[n];
  }
  made[place] = red >> 22;
  made[place + 1] = green >> 22;
  made[place + 2] = blue >> 22;
}

/**
 * A part of a picture, resized.
 *
 * @param picture - where from
 * @param {number} width - of the result, pixels
 * @param {number} height - of the result, pixels
 * @param {number[]} box - the part: left, top, right and bottom, also between pixels
 */
export function resample(picture, width, height, box) {
  const [left, top, right, bottom] = box.map(Math.fround); // Pillow hands them on in 32 bits
  const across = (from) => resizeAcross(from, weighLine(from.width, left, right, width));
  const down = (from) => resizeDown(from, weighLine(from.height, top, bottom, height));
  // As Pillow 13: what loses more than twice as many rows as columns is resized downwards first.
  const [rows, columns] = [picture.height - height, picture.width - width];
  return rows > 0 && rows > 2 * columns ? across(down(picture)) : down(across(picture));
}

function resizeAcross(picture, line) {
  const made = blank(line.length, picture.height);
  for (let y = 0; y < made.height; y += 1) {
    line.forEach(({ first, weights }, x) => {
      const start = (y * picture.width + first) * 4;
      mix(picture.data, start, 4, weights, made.data, (y * made.width + x) * 4);
    });
  }
  return made;
}

function resizeDown(picture, line) {
  const made = blank(picture.width, line.length);
  line.forEach(({ first, weights }, y) => {
    for (let x = 0; x < made.width; x += 1) {
      const start = (first * picture.width + x) * 4;
      mix(picture.data, start, 4 * picture.width, weights, made.data, (y * made.width + x) * 4);
    }
  });
  return made;
}

function blank(width, height) {
  return { data: new Uint8ClampedArray(width * height * 4), width, height };
}
