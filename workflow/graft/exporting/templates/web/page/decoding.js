// From a file or a picture of the camera to pixels, as the browser decodes them.

import { draft, makeSquare } from "./square.js";

export class Unreadable extends Error {}

const SHORTEST = 8; // pixels of a side; smaller pictures are icons, and graft reads none either
const MOST_PIXELS = 178_956_970; // and none of more than so many
const SEEN = 8; // of 255: a picture whose values differ by less shows nothing
const PREVIEW = 480; // pixels of the longer side of what the page shows

/**
 * A picture, upright, with the values of the file: its colour profile is left aside, as in graft.
 *
 * @param {Blob} file - any
 * @returns {Promise<ImageBitmap>}
 */
export async function open(file) {
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
  try {
    return await createImageBitmap(file, options);
  } catch {
    throw new Unreadable(
      "This browser cannot read the file as a picture. JPEG, PNG, WebP, GIF, BMP and AVIF it can; " +
      "save HEIC, TIFF and others as one of these first.");
  }
}

/**
 * The square for the model, and a small picture for people.
 *
 * @param {ImageBitmap} bitmap - the picture; it is closed
 * @param {boolean} isJpeg - whether it was a JPEG
 * @param input - of model.json: side by `shape`, `fit` and `background`
 */
export async function prepare(bitmap, isJpeg, { shape, fit, background }) {
  const [, side] = shape;
  const { width, height } = bitmap;
  if (Math.min(width, height) < SHORTEST) throw new Unreadable("The picture is too small to show anything.");
  if (width * height > MOST_PIXELS) throw new Unreadable("The picture has too many pixels.");
  const colour = readColour(background);
  const picture = layOn(colour, readPixels(bitmap), background);
  const scale = Math.min(1, PREVIEW / Math.max(width, height));
  const preview = await createImageBitmap(bitmap, {
    resizeWidth: Math.max(1, Math.round(width * scale)),
    resizeHeight: Math.max(1, Math.round(height * scale)),
    resizeQuality: "medium",
  });
  bitmap.close();
  const square = makeSquare(isJpeg ? draft(picture, side) : picture, side, fit, colour);
  return { square, preview };
}

export async function startsAsJpeg(file) {
  const start = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return start.join() === "255,216,255";
}

function readPixels(bitmap) {
  try {
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.drawImage(bitmap, 0, 0);
    return pen.getImageData(0, 0, bitmap.width, bitmap.height);
  } catch {
    throw new Unreadable("The picture is too large for this browser.");
  }
}

// Red, green and blue of a colour as CSS calls it.
function readColour(name) {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = name;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}

// In place: transparent pixels show the background.
function layOn(colour, picture, name) {
  const { data } = picture;
  const alpha = rangeOf(data, 3);
  if (alpha.lowest === 255) return picture;
  for (let at = 0; at < data.length; at += 4) {
    const share = data[at + 3] / 255;
    for (let channel = 0; channel < 3; channel += 1) {
      data[at + channel] = data[at + channel] * share + colour[channel] * (1 - share);
    }
  }
  if (!isEven(alpha) && [0, 1, 2].every((channel) => isEven(rangeOf(data, channel)))) {
    throw new Unreadable(`Nothing is seen of the picture on the model's background, ${name}.`);
  }
  return picture;
}

function rangeOf(data, channel) {
  let [lowest, highest] = [255, 0];
  for (let at = channel; at < data.length; at += 4) {
    if (data[at] < lowest) lowest = data[at];
    if (data[at] > highest) highest = data[at];
  }
  return { lowest, highest };
}

function isEven({ lowest, highest }) {
  return highest - lowest < SEEN;
}
