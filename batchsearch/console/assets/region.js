import { between, fromText, moved, pointIn, resized, toText, whole } from "./coordinates.js";
import { worded } from "./worded.js";

const SVG = "http://www.w3.org/2000/svg";
const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const FIELDS = ["x1", "x2", "y1", "y2"];

const node = (tag, attributes) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
};

// Draws the region of the form on the image, and the form's numbers from what is drawn.
export const drawRegion = (stage, form, say) => {
  const size = { width: Number(stage.dataset.width), height: Number(stage.dataset.height) };
  const fields = FIELDS.map((name) => form.elements[name]);
  const [auto, custom] = ["auto", "custom"].map((value) => form.querySelector(`[name="method"][value="${value}"]`));
  const crop = form.querySelector('[type="checkbox"][name="crop"]');
  if (fields.some((field) => !field) || !custom) return;
  const shape = node("g", { class: "drawn", tabindex: "0", role: "group", "aria-roledescription": worded("region") });
  const [edge, box] = [node("rect", { class: "edge" }), node("rect", { class: "box" })];
  const handles = HANDLES.map((edges) => node("rect", { class: "handle", "data-edges": edges }));
  shape.append(edge, box, ...handles);
  let region = fromText(fields.map((field) => field.value).join(","));
  let timer = 0;
  const isOff = () => Boolean(crop && !crop.checked);

  const unit = () => size.width / stage.getBoundingClientRect().width || 1;
  const draw = () => {
    for (const field of fields) field.disabled = isOff();
    if (!region || isOff()) { shape.remove(); return; }
    const [wide, tall, at] = [region.x2 - region.x1 + 1, region.y2 - region.y1 + 1, 12 * unit()];
    for (const each of [edge, box]) for (const [name, value] of Object.entries({ x: region.x1, y: region.y1, width: wide, height: tall })) each.setAttribute(name, value);
    handles.forEach((handle) => {
      const edges = handle.dataset.edges;
      const x = edges.includes("w") ? region.x1 : edges.includes("e") ? region.x2 + 1 : region.x1 + wide / 2;
      const y = edges.includes("n") ? region.y1 : edges.includes("s") ? region.y2 + 1 : region.y1 + tall / 2;
      for (const [name, value] of Object.entries({ x: x - at, y: y - at, width: 2 * at, height: 2 * at })) handle.setAttribute(name, value);
      handle.style.cursor = `${edges}-resize`;
    });
    shape.setAttribute("aria-label", worded("region_label", { region: toText(region), width: wide, height: tall }));
    if (!shape.isConnected) stage.append(shape);
  };
  const set = (next, announce = true) => {
    region = next;
    (next ? custom : auto).checked = true;
    fields.forEach((field, place) => { field.value = next ? [next.x1, next.x2, next.y1, next.y2][place] : ""; });
    draw();
    form.dispatchEvent(new Event("input", { bubbles: true }));
    if (!announce) return;
    clearTimeout(timer);
    timer = setTimeout(() => say(next ? worded("region_said", { region: toText(next) }) : worded("no_region")), 500);
  };

  const here = (event) => pointIn({ x: event.clientX, y: event.clientY }, stage.getBoundingClientRect(), size);
  // The image keeps its shape inside the stage: where it is on the screen is where its first and last pixel are.
  stage.getBoundingClientRect = () => {
    const [matrix, at] = [stage.getScreenCTM(), new DOMPoint(0, 0)];
    const first = at.matrixTransform(matrix);
    const last = new DOMPoint(size.width, size.height).matrixTransform(matrix);
    return { left: first.x, top: first.y, width: last.x - first.x, height: last.y - first.y };
  };
  stage.addEventListener("pointerdown", (event) => {
    if (isOff() || event.button > 0) return;
    const found = event.target.closest(".found.button");
    event.preventDefault();
    const from = here(event);
    const [before, edges] = [region, event.target.dataset.edges];
    const inside = before && from.x >= before.x1 && from.x <= before.x2 + 1 && from.y >= before.y1 && from.y <= before.y2 + 1;
    const ratio = before ? (before.x2 - before.x1 + 1) / (before.y2 - before.y1 + 1) : null;
    let dragged = false;
    const move = (event) => {
      const to = here(event);
      const [dx, dy] = [to.x - from.x, to.y - from.y];
      if (!dragged && Math.hypot(dx, dy) < 3 * unit()) return;
      dragged = true;
      if (edges) set(resized(before, edges, dx, dy, size, event.shiftKey ? ratio : null));
      else if (inside) set(moved(before, dx, dy, size));
      else set(between(from, to, size));
    };
    const end = () => {
      stage.removeEventListener("pointermove", move);
      if (!dragged && found) set(fromText(found.dataset.region));
      if (dragged || found) shape.focus({ preventScroll: true });
    };
    stage.setPointerCapture(event.pointerId);
    stage.addEventListener("pointermove", move);
    stage.addEventListener("pointerup", end, { once: true });
    stage.addEventListener("pointercancel", end, { once: true });
  });
  stage.addEventListener("dblclick", () => { if (!isOff()) set(whole(size)); });
  shape.addEventListener("keydown", (event) => {
    const by = (event.shiftKey ? 10 : 1);
    const [dx, dy] = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[event.key] || [0, 0];
    if (event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); set(null); custom.focus(); return; }
    if (!dx && !dy) return;
    event.preventDefault();
    event.stopPropagation();
    set(event.altKey ? resized(region, "es", dx, dy, size) : moved(region, dx, dy, size));
  });
  for (const field of fields) {
    field.addEventListener("input", () => {
      custom.checked = true;
      const typed = fromText(fields.map((each) => each.value).join(","));
      region = typed && typed.x2 < size.width && typed.y2 < size.height ? typed : null;
      draw();
    });
  }
  for (const found of stage.querySelectorAll(".found")) {
    found.classList.add("button");
    for (const [name, value] of Object.entries({ role: "button", tabindex: "0", "aria-label": worded("use_found", { region: found.dataset.region }) })) found.setAttribute(name, value);
    found.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      set(fromText(found.dataset.region));
      shape.focus({ preventScroll: true });
    });
  }
  for (const button of document.querySelectorAll("[data-use]")) {
    button.textContent = worded("use_region");
    button.addEventListener("click", (event) => { event.preventDefault(); set(fromText(button.dataset.use)); shape.focus(); });
  }
  auto.addEventListener("change", () => { if (auto.checked) set(null); });
  custom.addEventListener("change", () => { if (custom.checked && !region) set(between({ x: size.width / 4, y: size.height / 4 }, { x: size.width * 3 / 4, y: size.height * 3 / 4 }, size)); });
  if (crop) crop.addEventListener("change", draw);
  new ResizeObserver(draw).observe(stage);
  draw();
};
