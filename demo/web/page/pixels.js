/* The student's test pipeline on raw pixels, bit for bit as OpenCV computes it: a canvas
   resizes differently in every browser. */

const BITS = 11; // of the weights of OpenCV's bilinear resizing of 8-bit images

/** Gray values of RGBA pixels, as cv2.cvtColor. */
export function toGray({data, width, height}) {
  const gray = new Uint8Array(width * height);
  for (let i = 0, j = 0; i < gray.length; i++, j += 4) {
    gray[i] = (9798 * data[j] + 19235 * data[j + 1] + 3735 * data[j + 2] + 16384) >> 15;
  }
  return {data: gray, width, height, channels: 1};
}

/** The two neighbours of each output pixel of a line, and their weights. */
function weights(from, to, clampsWeights) {
  const lines = [];
  for (let i = 0; i < to; i++) {
    let place = Math.fround((i + 0.5) * (from / to) - 0.5);
    let first = Math.floor(place);
    let part = Math.fround(place - first);
    if (clampsWeights && (first < 0 || first >= from - 1)) part = 0;
    const clamp = (index) => Math.min(Math.max(index, 0), from - 1);
    lines.push({
      first: clamp(first),
      second: clamp(clampsWeights && part === 0 ? first : first + 1),
      one: roundHalfToEven(Math.fround(1 - part) * (1 << BITS)),
      two: roundHalfToEven(part * (1 << BITS)),
    });
  }
  return lines;
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Resize an image of interleaved 8-bit channels, as cv2.resize with INTER_LINEAR. */
export function resize({data, width, height, channels}, newWidth, newHeight) {
  if (width === newWidth && height === newHeight) {
    return {data, width, height, channels};
  }
  const out = new Uint8Array(newWidth * newHeight * channels);
  const done = {data: out, width: newWidth, height: newHeight, channels};
  const at = (y, x) => (y * width + x) * channels;
  if (width === 2 * newWidth && height === 2 * newHeight) { // OpenCV averages areas
    for (let y = 0, k = 0; y < newHeight; y++) {
      for (let x = 0; x < newWidth; x++) {
        const upper = at(2 * y, 2 * x), lower = at(2 * y + 1, 2 * x);
        for (let c = 0; c < channels; c++, k++) {
          const sum = data[upper + c] + data[upper + channels + c] + data[lower + c]
            + data[lower + channels + c];
          out[k] = (sum + 2) >> 2;
        }
      }
    }
    return done;
  }
  const columns = weights(width, newWidth, true), rows = weights(height, newHeight, false);
  let k = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (let c = 0; c < channels; c++, k++) {
        const across = (y) =>
          data[at(y, column.first) + c] * column.one + data[at(y, column.second) + c] * column.two;
        const upper = (row.one * (across(row.first) >> 4)) >> 16;
        const lower = (row.two * (across(row.second) >> 4)) >> 16;
        out[k] = (upper + lower + 2) >> 2;
      }
    }
  }
  return done;
}

/** The student's input: (3, height, width) planes of 8-bit values. */
export function toInput(pixels, {width, height, gray, bgr}) {
  const {data: rgba, width: oldWidth, height: oldHeight} = pixels; // getters of ImageData
  const colours = {data: rgba, width: oldWidth, height: oldHeight, channels: 4};
  const {data, channels} = resize(gray ? toGray(pixels) : colours, width, height);
  const size = width * height, planes = new Uint8Array(3 * size);
  for (let plane = 0; plane < 3; plane++) {
    const channel = gray ? 0 : bgr ? 2 - plane : plane;
    for (let i = 0; i < size; i++) planes[plane * size + i] = data[i * channels + channel];
  }
  return planes;
}
