// A close look at two images at a time: side by side, swapped, blinking or subtracted, and a judgement on each
// pair. A module of its own: the console loads it, the report inlines it. Texts reach the page through
// textContent and attributes only.
//
// openViewer({ pairs, start, judgementOf, judge, undo, closed })
//   pairs        [{ a, b, left, right, facts }], each side { label, src, width, height, boxes, why }: boxes are
//                [x, y, width, height] in pixels of that image, the subject first; without `src`, `why` is said;
//                facts are texts
//   start        place of the pair to begin with
//   judgementOf  (pair) => "same", "different" or null; without `judge`, pairs are looked at only
//   judge        (pair, "same" | "different" | null)
//   undo         () => takes the last judgement back
//   closed       (pair) => called with the pair that was shown last
export const openViewer = ({ pairs, start = 0, judgementOf = () => null, judge = null, undo = null, closed = () => {} }) => {
  const MODES = [["side", "Side by side"], ["swap", "Swap"], ["blink", "Blink"], ["difference", "Difference"]];
  const BLINK_MS = 600;
  const MOST_ZOOM = 16;
  const memory = {
    get(name) { try { return localStorage.getItem(name); } catch { return null; } },
    set(name, value) { try { localStorage.setItem(name, value); } catch { /* it holds for this look alone */ } },
  };
  const make = (tag, className, attributes, ...children) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  };

  let at = Math.min(Math.max(0, start), pairs.length - 1);
  let mode = memory.get("batchsearch.viewer.mode");
  if (!MODES.some(([name]) => name === mode)) mode = "side";
  let front = "left";
  let [zoom, panX, panY] = [1, 0, 0];
  let timer = 0;
  const seen = new Set();
  const trail = [];

  /* ---- what there is ---- */
  const hint = (key) => make("kbd", "", { "aria-hidden": "true" }, key);
  const button = (label, key, onclick, className = "") => make("button", className, { type: "button", onclick }, label, ...(key ? [" ", hint(key)] : []));
  const toggle = (label, key, checked, onchange) => {
    const box = make("input", "", { type: "checkbox", onchange });
    box.checked = checked;
    return [make("label", "check", null, box, label, ...(key ? [" ", hint(key)] : [])), box];
  };
  const pane = (side) => {
    const image = make("img", "", { alt: "", draggable: "false" });
    const boxes = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    boxes.setAttribute("aria-hidden", "true");
    const sheet = make("div", "v-sheet", null, image, boxes);
    const none = make("p", "v-none", null);
    const frame = make("div", "v-frame", null, sheet, none);
    const caption = make("figcaption", "out", null);
    return { side, image, boxes, sheet, none, frame, caption, figure: make("figure", `v-pane ${side}`, null, frame, caption) };
  };
  const panes = [pane("left"), pane("right")];
  const stage = make("div", "v-stage", { tabindex: "0", role: "group", "aria-label": "The two images. Arrow keys move them, plus and minus enlarge and shrink." }, ...panes.map((each) => each.figure));
  const modes = MODES.map(([name, label], place) => button(label, String(place + 1), () => wear(name)));
  const flip = button("Other image", "w", () => { if (mode === "swap") turn(); });
  const [regionsLabel, regions] = toggle("Regions", "r", memory.get("batchsearch.viewer.regions") !== "off", () => {
    memory.set("batchsearch.viewer.regions", regions.checked ? "on" : "off");
    draw();
  });
  const [alignLabel, align] = toggle("Align regions", "a", false, () => place());
  const [lettersLabel, letters] = toggle("Letter keys", "", memory.get("batchsearch.letters") !== "off", () => {
    memory.set("batchsearch.letters", letters.checked ? "on" : "off");
  });
  const [onwardLabel, onward] = toggle("Next pair after judging", "", memory.get("batchsearch.viewer.onward") !== "off", () => {
    memory.set("batchsearch.viewer.onward", onward.checked ? "on" : "off");
  });
  const where = make("span", "v-where", { role: "status" });
  const facts = make("ul", "v-facts", { tabindex: "0", "aria-label": "What is known of the pair" });
  const back = button("← Previous", "k", () => go(at - 1));
  const next = button("Next →", "j", () => go(at + 1));
  const same = button("Same", "s", () => say("same"), "same");
  const different = button("Different", "d", () => say("different"), "different");
  const retract = button("Take back", "u", () => say(null));
  const undoing = button("Undo", "z", () => unsay());
  const close = button("Close", "Esc", () => finish());
  const title = make("h2", "", { id: "viewer-title" });
  const dialog = make("dialog", "viewer", { "aria-labelledby": "viewer-title" },
    make("div", "v-head", null, title, where, close),
    make("div", "v-tools", null,
      make("div", "v-group", { role: "group", "aria-label": "How the images are shown" }, ...modes, flip),
      make("div", "v-group", { role: "group", "aria-label": "Size" }, button("Smaller", "−", () => enlarge(1 / 1.5)), button("Larger", "+", () => enlarge(1.5)), button("Fit", "0", () => fit())),
      make("div", "v-group", null, regionsLabel, alignLabel, judge ? onwardLabel : null, lettersLabel)),
    stage, facts,
    make("div", "v-judge", null, back,
      ...(judge ? [make("div", "v-group", { role: "group", "aria-label": "Judgement" }, same, different, retract, undo ? undoing : null)] : []), next));

  // A button that can do nothing keeps the focus: keys go on working.
  const able = (element, yes) => element.setAttribute("aria-disabled", String(!yes));

  /* ---- where the images are ---- */
  const whole = (side) => [0, 0, side.width, side.height];
  const subject = (side) => {
    const [x, y, width, height] = side.boxes[0];
    const margin = Math.max(width, height) * 0.1;
    return [x - margin, y - margin, width + 2 * margin, height + 2 * margin];
  };
  const place = () => {
    const pair = pairs[at];
    const both = [pair.left, pair.right].every((side) => side.src && side.boxes.length);
    if (!both && document.activeElement === align) stage.focus();
    align.disabled = !both;
    for (const { side, sheet, frame } of panes) {
      const it = pair[side];
      if (!it.src) continue;
      const [x, y, width, height] = both && align.checked ? subject(it) : whole(it);
      const { clientWidth, clientHeight } = frame;
      const scale = Math.min(clientWidth / width, clientHeight / height) * zoom;
      const left = clientWidth * (0.5 + panX) - (x + width / 2) * scale;
      const top = clientHeight * (0.5 + panY) - (y + height / 2) * scale;
      sheet.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
      // Lines of regions keep their width, whatever the images are enlarged by.
      sheet.style.setProperty("--unit", String(1 / scale));
      sheet.classList.toggle("crisp", scale >= 8);
    }
  };
  // The point under the pointer stays where it is.
  const enlarge = (factor, x = 0, y = 0) => {
    const before = zoom;
    zoom = Math.min(MOST_ZOOM, Math.max(1, zoom * factor));
    panX = x - ((x - panX) * zoom) / before;
    panY = y - ((y - panY) * zoom) / before;
    if (zoom === 1) [panX, panY] = [0, 0];
    place();
  };
  const move = (x, y) => {
    const most = zoom / 2;
    panX = Math.min(most, Math.max(-most, panX + x));
    panY = Math.min(most, Math.max(-most, panY + y));
    place();
  };
  const fit = () => { [zoom, panX, panY] = [1, 0, 0]; place(); };

  /* ---- how they are shown ---- */
  const show = () => {
    stage.className = `v-stage ${mode}`;
    stage.dataset.front = front;
    modes.forEach((each, number) => each.setAttribute("aria-pressed", String(MODES[number][0] === mode)));
    able(flip, mode === "swap");
    place();
  };
  const turn = () => { front = front === "left" ? "right" : "left"; show(); };
  const wear = (name) => {
    mode = name;
    memory.set("batchsearch.viewer.mode", mode);
    clearInterval(timer);
    if (mode === "blink") timer = setInterval(turn, BLINK_MS);
    show();
  };
  const drawBoxes = (svg, side) => {
    svg.replaceChildren();
    if (!regions.checked) return;
    svg.setAttribute("viewBox", `0 0 ${side.width} ${side.height}`);
    side.boxes.slice().reverse().forEach(([x, y, width, height], number) => {
      const main = number === side.boxes.length - 1;
      for (const name of main ? ["region-edge", "region"] : ["region more"]) {
        const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        for (const [key, value] of Object.entries({ x, y, width, height, class: name })) box.setAttribute(key, String(value));
        svg.append(box);
      }
    });
  };
  const draw = () => {
    const pair = pairs[at];
    seen.add(at);
    const now = judge ? judgementOf(pair) : null;
    title.replaceChildren(make("span", "out", null, pair.left.label), " and ", make("span", "out", null, pair.right.label));
    where.textContent = `Pair ${at + 1} of ${pairs.length}; ${seen.size} of ${pairs.length} looked at${now ? `; judged ${now}` : ""}`;
    for (const { side, image, boxes, sheet, none, caption, figure } of panes) {
      const it = pair[side];
      figure.classList.toggle("empty", !it.src);
      none.textContent = it.src ? "" : it.why || "no image";
      sheet.hidden = !it.src;
      caption.textContent = it.label;
      if (!it.src) { image.removeAttribute("src"); continue; }
      if (image.getAttribute("src") !== it.src) image.src = it.src;
      image.alt = it.label;
      sheet.style.width = `${it.width}px`;
      sheet.style.height = `${it.height}px`;
      drawBoxes(boxes, it);
    }
    facts.replaceChildren(...pair.facts.filter(Boolean).map((text) => make("li", "out", null, String(text))));
    for (const [element, word] of [[same, "same"], [different, "different"]]) element.setAttribute("aria-pressed", String(now === word));
    able(retract, now !== null);
    able(undoing, trail.length > 0);
    able(back, at > 0);
    able(next, at < pairs.length - 1);
    show();
  };
  const go = (to) => {
    if (to < 0 || to >= pairs.length || to === at) return;
    at = to;
    draw();
  };
  const say = (verdict) => {
    if (!judge || (verdict === null && judgementOf(pairs[at]) === null)) return;
    trail.push(at);
    judge(pairs[at], verdict);
    if (verdict !== null && onward.checked && at < pairs.length - 1) at += 1;
    draw();
  };
  const unsay = () => {
    if (!judge || !undo || !trail.length) return;
    undo();
    at = trail.pop();
    draw();
  };

  /* ---- keys and pointers ---- */
  const KEYS = {
    s: () => say("same"), d: () => say("different"), u: () => say(null), z: unsay, j: () => go(at + 1), k: () => go(at - 1),
    r: () => regions.click(), a: () => align.click(), w: () => { if (mode === "swap") turn(); },
    "+": () => enlarge(1.5), "=": () => enlarge(1.5), "-": () => enlarge(1 / 1.5), "0": fit,
    ...Object.fromEntries(MODES.map(([name], number) => [String(number + 1), () => wear(name)])),
  };
  const ARROWS = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") { event.preventDefault(); finish(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === stage && event.key in ARROWS) { event.preventDefault(); move(...ARROWS[event.key]); return; }
    const act = letters.checked ? KEYS[event.key] : null;
    if (act) { event.preventDefault(); act(); }
  });
  const pointAt = (event) => {
    const frame = event.target.closest(".v-frame") || panes[0].frame;
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
  };
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    enlarge(event.deltaY < 0 ? 1.2 : 1 / 1.2, ...pointAt(event));
  }, { passive: false });
  let held = null;
  stage.addEventListener("pointerdown", (event) => { held = [event.clientX, event.clientY]; stage.setPointerCapture(event.pointerId); });
  stage.addEventListener("pointermove", (event) => {
    if (!held || zoom === 1) return;
    const { clientWidth, clientHeight } = panes[0].frame;
    move((event.clientX - held[0]) / clientWidth, (event.clientY - held[1]) / clientHeight);
    held = [event.clientX, event.clientY];
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => { held = null; });
  stage.addEventListener("dblclick", (event) => { if (zoom > 1) fit(); else enlarge(3, ...pointAt(event)); });
  const resized = new ResizeObserver(() => place());
  // At once, not when the browser comes to tell it: the next key is the page's again.
  let over = false;
  const finish = () => {
    if (over) return;
    over = true;
    clearInterval(timer);
    resized.disconnect();
    dialog.close();
    dialog.remove();
    closed(pairs[at]);
  };
  dialog.addEventListener("close", finish);

  document.body.append(dialog);
  dialog.showModal();
  resized.observe(stage);
  draw();
  wear(mode);
  stage.focus();
};
