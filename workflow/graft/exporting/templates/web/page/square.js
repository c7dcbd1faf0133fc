// From a picture to the square that the model was trained with, as graft makes it with Pillow.

import { reduce } from "./reduce.js";
import { resample } from "./resample.js";

const GAP = 3; // a picture that is so much larger than the square is reduced by whole numbers first

/**
 * What graft sees of a large JPEG: it is decoded at a half, a quarter or an eighth of its sides, where
 * that leaves twice the square. A browser decodes all of it, and the mean of blocks is nearly the same.
 *
 * @param picture - as of resample.js
 * @param {number} side - of the square, pixels
 */
export function draft(picture, side) {
  const larger = Math.min(picture.width, picture.height) / (2 * side);
  const scale = [8, 4, 2].find((one) => larger >= one);
  return scale ? reduce(picture, [scale, scale], [0, 0, picture.width, picture.height]) : picture;
}

/**
 * The square: { data, width, height } with four bytes a pixel.
 *
 * @param picture - as of resample.js
 * @param {number} side - pixels
 * @param {"stretch"|"crop"|"pad"} fit - both sides are stretched, the middle is cut out, or the
 *   shorter side is padded
 * @param {number[]} background - red, green and blue of the padding, 0 to 255
 */
export function makeSquare(picture, side, fit, background) {
  if (fit === "pad") return pad(picture, side, background);
  const { width, height } = picture;
  const edge = Math.min(width, height);
  const [left, top] = [(width - edge) / 2, (height - edge) / 2];
  const box = fit === "crop" ? [left, top, left + edge, top + edge] : [0, 0, width, height];
  return shrink(picture, side, box);
}

function shrink(picture, side, box) {
  const [left, top, right, bottom] = box;
  const scales = [(right - left) / side, (bottom - top) / side];
  const factors = scales.map((scale) => Math.trunc(scale / GAP) || 1);
  if (Math.max(...factors) === 1) return resample(picture, side, side, box);
  // The box, and around it what the kernel of the resizing reaches.
  const [across, down] = scales.map((scale) => 1.5 * scale);
  const around = [
    Math.max(0, Math.trunc(left - across)),
    Math.max(0, Math.trunc(top - down)),
    Math.min(picture.width, Math.ceil(right + across)),
    Math.min(picture.height, Math.ceil(bottom + down)),
  ];
  const smaller = reduce(picture, factors, around);
  const within = box.map((edge, n) => (edge - around[n % 2]) / factors[n % 2]);
  return resample(smaller, side, side, within);
}

function pad(picture, side, background) {
  const ratio = picture.width / picture.height;
  const width = ratio < 1 ? roundEven(ratio * side) : side;
  const height = ratio > 1 ? roundEven((picture.height / picture.width) * side) : side;
  const data = new Uint8ClampedArray(side * side * 4);
  for (let at = 0; at < data.length; at += 4) data.set(background, at);
  if (width && height) {
    const whole = [0, 0, picture.width, picture.height];
    const inner = resample(picture, width, height, whole);
    const [left, top] = [roundEven((side - width) / 2), roundEven((side - height) / 2)];
    for (let y = 0; y < height; y += 1) {
      const row = inner.data.subarray(y * width * 4, (y + 1) * width * 4);
      data.set(row, ((top + y) * side + left) * 4);
    }
  }
  return { data, width: side, height: side };
}

// To the nearest whole number, a half to the even one, as Python rounds.
function roundEven(value) {
  const below = Math.floor(value);
  if (value - below === 0.5) return below + (below % 2);
  return Math.round(value);
}
