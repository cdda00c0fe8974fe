// Pixel values of images, and the difference of two images.

/** Images with more pixels are not compared. */
const MOST = 16_000_000;

/** @param {HTMLImageElement} image @param {number} x @param {number} y @param {number} width @param {number} height */
function read(image, x, y, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  ctx.drawImage(image, -x, -y);
  return ctx.getImageData(0, 0, width, height).data;
}

/** Red, green, blue and alpha of a pixel; null when the browser denies access, as for images of other servers. @param {HTMLImageElement} image @param {number} x @param {number} y */
export function pixelOf(image, x, y) {
  try {
    return [...read(image, x, y, 1, 1)];
  } catch {
    return null;
  }
}

/**
 * The difference of two images of the same size: share of differing pixels, mean and greatest difference of a channel (0 to 255). null: not accessible.
 * @param {HTMLImageElement} one @param {HTMLImageElement} other
 */
export function distance(one, other) {
  const { naturalWidth: width, naturalHeight: height } = one;
  if (!width || width !== other.naturalWidth || height !== other.naturalHeight || width * height > MOST) return null;
  try {
    return distanceOf(read(one, 0, 0, width, height), read(other, 0, 0, width, height));
  } catch {
    return null;
  }
}

/** @param {ArrayLike<number>} one red, green, blue, opacity of each pixel @param {ArrayLike<number>} other */
export function distanceOf(one, other) {
  let sum = 0;
  let most = 0;
  let differing = 0;
  for (let i = 0; i < one.length; i += 4) {
    let here = 0;
    for (let channel = 0; channel < 3; channel++) {
      const by = Math.abs(one[i + channel] - other[i + channel]);
      sum += by;
      if (by > here) here = by;
    }
    if (here > 0) differing++;
    if (here > most) most = here;
  }
  const pixels = one.length / 4;
  return { share: pixels ? differing / pixels : 0, mean: pixels ? sum / pixels / 3 : 0, most };
}
