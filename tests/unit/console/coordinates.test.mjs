import assert from "node:assert/strict";
import { test } from "node:test";
import { between, fromText, moved, pointIn, resized, toText, whole } from "../../../batchsearch/console/assets/coordinates.js";

const SIZE = { width: 300, height: 200 };

test("a drag gives a region inside the image, whichever way it goes", () => {
  const wanted = { x1: 10, x2: 49, y1: 20, y2: 59 };
  assert.deepEqual(between({ x: 10, y: 20 }, { x: 50, y: 60 }, SIZE), wanted);
  assert.deepEqual(between({ x: 50, y: 60 }, { x: 10, y: 20 }, SIZE), wanted);
  assert.deepEqual(between({ x: -50, y: -9 }, { x: 999, y: 999 }, SIZE), whole(SIZE));
});

test("no region is smaller than the service takes", () => {
  assert.deepEqual(between({ x: 5, y: 5 }, { x: 5, y: 5 }, SIZE), { x1: 5, x2: 6, y1: 5, y2: 6 });
  assert.deepEqual(between({ x: 300, y: 200 }, { x: 300, y: 200 }, SIZE), { x1: 298, x2: 299, y1: 198, y2: 199 });
});

test("a region keeps its size when it is moved against an edge", () => {
  const region = { x1: 10, x2: 49, y1: 20, y2: 59 };
  assert.deepEqual(moved(region, -100, 1000, SIZE), { x1: 0, x2: 39, y1: 160, y2: 199 });
});

test("an edge stops at the other one and at the image's", () => {
  const region = { x1: 10, x2: 49, y1: 20, y2: 59 };
  assert.deepEqual(resized(region, "e", -100, 0, SIZE), { ...region, x2: 11 });
  assert.deepEqual(resized(region, "nw", -100, -100, SIZE), { ...region, x1: 0, y1: 0 });
  assert.deepEqual(resized(region, "se", 40, 0, SIZE, 2), { ...region, x2: 89, y2: 59 });
});

test("text is read as it is written, and nothing else is", () => {
  assert.deepEqual(fromText("1, 20,3,40"), { x1: 1, x2: 20, y1: 3, y2: 40 });
  assert.equal(toText(fromText("1,20,3,40")), "1,20,3,40");
  for (const bad of ["", "1,2,3", "1,2,3,x", "5,5,1,9", "20,1,1,9", "-1,5,1,9"]) assert.equal(fromText(bad), null);
});

test("a point of the screen is a pixel of the image at any zoom", () => {
  for (const zoom of [0.5, 1, 1.25, 4]) {
    const box = { left: 40, top: -30, width: 300 * zoom, height: 200 * zoom };
    assert.deepEqual(pointIn({ x: 40 + 30 * zoom, y: -30 + 50 * zoom }, box, SIZE), { x: 30, y: 50 });
  }
});
