// Bicubic resizing as Pillow does it, to the byte.
//
// The weights are those of a cubic convolution with a = -0.5 (R. Keys, Cubic convolution
// interpolation for digital image processing, 1981). When a picture becomes smaller, the kernel is
// as much wider, so that each pixel counts. As in Pillow the weights are rounded to whole numbers,
// rows are resized before columns, and between the two are bytes again.
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

// The sum of some pixels of a channel, `stride` bytes apart, as a byte: Uint8ClampedArray clips it.
function mix(data, start, stride, weights) {
  let sum = ONE / 2;
  for (let n = 0; n < weights.length; n += 1) sum += data[start + n * stride] * weights[n];
  return sum >> 22;
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
  const columns = weighLine(picture.width, left, right, width);
  const rows = weighLine(picture.height, top, bottom, height);
  const narrow = new Uint8ClampedArray(width * picture.height * 4);
  for (let y = 0; y < picture.height; y += 1) {
    columns.forEach(({ first, weights }, x) => {
      const start = (y * picture.width + first) * 4;
      const place = (y * width + x) * 4;
      for (let channel = 0; channel < 3; channel += 1) {
        narrow[place + channel] = mix(picture.data, start + channel, 4, weights);
      }
    });
  }
  const data = new Uint8ClampedArray(width * height * 4);
  rows.forEach(({ first, weights }, y) => {
    for (let x = 0; x < width; x += 1) {
      const start = (first * width + x) * 4;
      const place = (y * width + x) * 4;
      for (let channel = 0; channel < 3; channel += 1) {
        data[place + channel] = mix(narrow, start + channel, 4 * width, weights);
      }
    }
  });
  return { data, width, height };
}
