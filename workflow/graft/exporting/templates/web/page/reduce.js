// A picture made smaller by whole numbers: each new pixel is the mean of a block of old ones.
//
// It is what Pillow does before it resizes a much larger picture, to the byte: its mean is a product
// with a rounded inverse. A block that reaches beyond the edge is the mean of what there is of it.

/**
 * @param picture - as of resample.js
 * @param {number[]} factors - pixels of a block across and down
 * @param {number[]} box - the part, in whole pixels: left, top, right, bottom
 */
export function reduce(picture, [across, down], [left, top, right, bottom]) {
  const width = Math.ceil((right - left) / across);
  const height = Math.ceil((bottom - top) / down);
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    const first = top + y * down;
    const last = Math.min(first + down, bottom);
    for (let x = 0; x < width; x += 1) {
      const start = left + x * across;
      const end = Math.min(start + across, right);
      const count = (end - start) * (last - first);
      let [red, green, blue] = Array(3).fill(Math.trunc(count / 2)); // for rounding
      for (let row = first; row < last; row += 1) {
        const stop = (row * picture.width + end) * 4;
        for (let at = (row * picture.width + start) * 4; at < stop; at += 4) {
          red += picture.data[at];
          green += picture.data[at + 1];
          blue += picture.data[at + 2];
        }
      }
      const inverse = Math.trunc(Math.fround(2 ** 32 / (256 * count)));
      const place = (y * width + x) * 4;
      data[place] = Math.trunc((red * inverse) / 2 ** 24);
      data[place + 1] = Math.trunc((green * inverse) / 2 ** 24);
      data[place + 2] = Math.trunc((blue * inverse) / 2 ** 24);
    }
  }
  return { data, width, height };
}
