// Regions in pixels of the image, pure: {x1, x2, y1, y2}, both ends inside, as the service counts them.
export const LEAST = 2;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export const toText = ({ x1, x2, y1, y2 }) => [x1, x2, y1, y2].join(",");

export const fromText = (text) => {
  const parts = String(text).split(",").map((part) => part.trim());
  if (parts.length !== 4 || !parts.every((part) => /^\d+$/.test(part))) return null;
  const [x1, x2, y1, y2] = parts.map(Number);
  return x2 - x1 + 1 >= LEAST && y2 - y1 + 1 >= LEAST ? { x1, x2, y1, y2 } : null;
};

// What a rectangle between two points is, whichever way it was drawn: inside the image, and no smaller than the least.
export const between = (a, b, { width, height }) => {
  const span = (one, other, side) => {
    let low = clamp(Math.floor(Math.min(one, other)), 0, side - 1);
    let high = clamp(Math.ceil(Math.max(one, other)) - 1, 0, side - 1);
    if (high - low + 1 < LEAST) { low = Math.min(low, side - LEAST); high = low + LEAST - 1; }
    return [low, high];
  };
  const [x1, x2] = span(a.x, b.x, width);
  const [y1, y2] = span(a.y, b.y, height);
  return { x1, x2, y1, y2 };
};

export const moved = (region, dx, dy, { width, height }) => {
  const x = clamp(Math.round(dx), -region.x1, width - 1 - region.x2);
  const y = clamp(Math.round(dy), -region.y1, height - 1 - region.y2);
  return { x1: region.x1 + x, x2: region.x2 + x, y1: region.y1 + y, y2: region.y2 + y };
};

// `edges` names what moves: any of "w", "e", "n", "s".
export const resized = (region, edges, dx, dy, { width, height }, ratio = null) => {
  const made = { ...region };
  if (edges.includes("w")) made.x1 = clamp(Math.round(region.x1 + dx), 0, region.x2 - LEAST + 1);
  if (edges.includes("e")) made.x2 = clamp(Math.round(region.x2 + dx), region.x1 + LEAST - 1, width - 1);
  if (edges.includes("n")) made.y1 = clamp(Math.round(region.y1 + dy), 0, region.y2 - LEAST + 1);
  if (edges.includes("s")) made.y2 = clamp(Math.round(region.y2 + dy), region.y1 + LEAST - 1, height - 1);
  if (ratio) {
    const tall = Math.max(LEAST, Math.round((made.x2 - made.x1 + 1) / ratio));
    if (edges.includes("n")) made.y1 = clamp(made.y2 - tall + 1, 0, made.y2 - LEAST + 1);
    else made.y2 = clamp(made.y1 + tall - 1, made.y1 + LEAST - 1, height - 1);
  }
  return made;
};

export const whole = ({ width, height }) => ({ x1: 0, x2: width - 1, y1: 0, y2: height - 1 });

// A point of the screen in pixels of the image; `box` is where the image is on the screen now, at any zoom.
export const pointIn = (client, box, { width, height }) => ({
  x: clamp((client.x - box.left) * width / box.width, 0, width),
  y: clamp((client.y - box.top) * height / box.height, 0, height),
});
