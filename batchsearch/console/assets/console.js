import { completionsAt, fromRows, INT_FIELDS, OPERATORS, STR_FIELDS } from "./filter.js";
import { drawRegion } from "./region.js";
import { enliven } from "./results.js";
import { worded } from "./worded.js";

const csrf = document.body.dataset.csrf;
const $ = (what, root = document) => root.querySelector(what);
const $$ = (what, root = document) => [...root.querySelectorAll(what)];
document.documentElement.classList.add("scripted");
const memory = (store) => ({
  get(name) { try { return store.getItem(name); } catch { return null; } },
  set(name, value) { try { store.setItem(name, value); } catch { /* a browser that keeps nothing */ } },
});
const kept = memory(localStorage);
const draft = memory(sessionStorage);
const say = (text) => { $("#announcer").textContent = text; };
const copy = async (text, button) => {
  try { await navigator.clipboard.writeText(text); say(worded("copied")); button.textContent = worded("copied"); } catch { say(worded("cannot_copy")); }
};

/* ---- what was spent ---- */
const shown = (told) => {
  for (const name of ["calls", "last_second"]) for (const place of $$(`[data-meter="${name}"]`)) place.textContent = told[name];
  for (const place of $$("[data-meter-unit]")) place.textContent = worded("unit", { n: told.calls });
  for (const place of $$('[data-meter="wait"]')) place.textContent = told.wait ? worded("in_seconds", { seconds: told.wait.toFixed(1) }) : worded("now");
  for (const place of $$('[data-meter="step"]')) place.textContent = told.step || worded("step_done");
};
const meter = async () => {
  const answer = await fetch("/meter", { headers: { Accept: "application/json" } });
  const told = await answer.json();
  shown(told);
  return told;
};
const gone = worded("gone");
const starting = async () => {
  if (document.body.dataset.ready === "yes" || !$("#starting")) return;
  try {
    const told = await meter();
    if (told.ready || told.trouble) { document.body.dataset.ready = "yes"; await turn(location.href, {}, false); return; }
  } catch { $("#starting").textContent = gone; return; }
  setTimeout(starting, 400);
};

/* ---- pages are made by the server; the main part is exchanged in place ---- */
let busy = false;
const turn = async (address, options, push) => {
  const answer = await fetch(address, { ...options, headers: { Accept: "text/html", "X-CSRF-Token": csrf } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = $("#main", page);
  if (!main) throw new Error("no page");
  document.title = page.title;
  $("#main").replaceWith(document.adoptNode(main));
  for (const part of ["#meter", ".screens"]) {
    if (part === "#meter" && $(part, page)) $(part).replaceWith(document.adoptNode($(part, page)));
  }
  for (const link of $$("nav.screens a")) {
    if ($(`nav.screens a[href="${link.getAttribute("href")}"][aria-current]`, page)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (push && answer.url !== location.href && (answer.redirected || !options.method)) history.pushState(null, "", answer.url);
  began();
  const focus = $("#trouble") || $("#same") || $("[data-announce]") || $("#main");
  focus.focus({ preventScroll: focus.id === "main" });
  say(focus.dataset.announce || focus.textContent.trim().slice(0, 200));
};
const watch = (form) => {
  const since = performance.now();
  const [told, give] = [$("#waiting", form), $("#cancel", form)];
  const timer = setInterval(async () => {
    try {
      const found = await meter();
      const seconds = (performance.now() - since) / 1000;
      if (told && seconds > 1) told.textContent = found.state === "waiting" ? worded("waiting_slot", { seconds: found.waited.toFixed(1) }) : worded("waiting_answer", { seconds: seconds.toFixed(0) });
      if (give) give.hidden = found.state !== "waiting";
    } catch { /* told when the call ends */ }
  }, 500);
  return () => { clearInterval(timer); if (told) told.textContent = ""; if (give) give.hidden = true; };
};
const send = async (form, submitter) => {
  if (busy) { say(worded("busy")); return; }
  busy = true;
  const asks = ["search", "compare", "again", "more", "now"].includes(submitter.value);
  const body = new FormData(form, submitter);
  const end = asks ? watch(form) : () => {};
  if (asks) { const told = $("#waiting", form); if (told) told.textContent = worded("asking"); }
  try {
    await turn(form.action, { method: "POST", body }, true);
  } catch {
    const told = $("#waiting", form) || $("#announcer");
    told.textContent = gone;
  } finally { busy = false; end(); }
};
const cancel = async () => {
  const body = new URLSearchParams({ csrf });
  const answer = await fetch("/cancel", { method: "POST", body });
  if ((await answer.json()).cancelled) say(worded("given_up"));
};

/* ---- the form ---- */
const typing = (target) => target.matches("input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select");
const mark = (form, problems) => {
  for (const field of $$("[data-control]", form)) {
    const [name, input] = [field.dataset.control, $(`#${field.dataset.control}`, field)];
    const [old, found] = [$(".problem", field), problems[name]];
    if (old) old.remove();
    if (input) { if (found) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid"); }
    if (!found) continue;
    const told = document.createElement("p");
    told.className = "problem";
    told.id = `problem-${name}`;
    told.textContent = `${found.text}${found.column ? ` ${worded("at_column", { column: found.column })}` : ""} ${found.name}`;
    field.append(told);
    if (input) input.setAttribute("aria-describedby", `hint-${name} problem-${name}`);
  }
};
const remember = (form) => {
  const values = [...new FormData(form)].filter(([name, value]) => typeof value === "string" && !["csrf", "do"].includes(name));
  draft.set("form", JSON.stringify(values));
};
const recall = (form) => {
  if (location.search || location.pathname !== "/search") return;
  let values = [];
  try { values = JSON.parse(draft.get("form") || "[]"); } catch { return; }
  const type = values.find(([name]) => name === "type");
  if (!values.length || !type || type[1] !== form.dataset.operation) return;
  const told = new URLSearchParams(values.filter(([, value]) => value !== "").filter(([name, value], place, all) => place === all.map(([each]) => each).lastIndexOf(name)));
  if ([...told.keys()].some((name) => !["type", "method", "crop", "distinct_product_id"].includes(name))) turn(`/search?${told}`, {}, true).catch(() => {});
};
const prepare = (form) => {
  form.addEventListener("submit", (event) => {
    const submitter = event.submitter || $("#submit", form);
    event.preventDefault();
    send(form, submitter);
  });
  let timer = 0;
  form.addEventListener("input", () => {
    remember(form);
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const body = new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string"));
      try { const answer = await fetch("/check", { method: "POST", body, headers: { "X-CSRF-Token": csrf } }); mark(form, (await answer.json()).problems); } catch { /* told at the next call */ }
    }, 250);
  });
  for (const radio of $$('[name="type"]', form)) radio.addEventListener("change", () => send(form, $('button.no-script[value="show"]', form)));
  const give = $("#cancel", form);
  if (give) give.addEventListener("click", cancel);
  for (const slider of $$("[data-slider]", form)) {
    const number = $(`#${slider.dataset.slider}`, form);
    slider.addEventListener("input", () => { number.value = Number(slider.value) ? Number(slider.value).toFixed(2) : ""; });
    number.addEventListener("input", () => { slider.value = number.value || 0; });
  }
  const text = $("[data-filter]", form);
  if (text) complete(text, $(".completions", form), $("[data-builder]", form));
  const product = $("#product_id", form);
  if (product && product.getAttribute("list")) {
    product.addEventListener("input", async () => {
      const answer = await fetch(`/names?${new URLSearchParams({ text: product.value })}`);
      const found = await answer.json();
      $("#known-products").replaceChildren(...[...new Set(found.map((each) => each.product_id))].map((id) => new Option(id, id)));
      const only = found.filter((each) => each.product_id === product.value);
      if (only.length === 1 && $("#pic_name", form) && !$("#pic_name", form).value) $("#pic_name", form).value = only[0].pic_name;
    });
  }
};
let values = null;
const complete = (text, list, builder) => {
  let [found, chosen] = [{ start: 0, options: [] }, -1];
  text.setAttribute("role", "combobox");
  text.setAttribute("aria-autocomplete", "list");
  text.setAttribute("aria-expanded", "false");
  list.id = "filter-completions";
  text.setAttribute("aria-controls", list.id);
  const show = () => {
    list.hidden = !found.options.length;
    text.setAttribute("aria-expanded", String(!list.hidden));
    list.replaceChildren(...found.options.slice(0, 12).map((option, place) => {
      const line = document.createElement("li");
      line.id = `completion-${place}`;
      line.setAttribute("role", "option");
      line.setAttribute("aria-selected", String(place === chosen));
      line.textContent = option;
      line.addEventListener("pointerdown", (event) => { event.preventDefault(); take(place); });
      return line;
    }));
    if (chosen >= 0) text.setAttribute("aria-activedescendant", `completion-${chosen}`); else text.removeAttribute("aria-activedescendant");
  };
  const take = (place) => {
    text.setRangeText(`${found.options[place]} `, found.start, text.selectionStart, "end");
    text.dispatchEvent(new Event("input", { bubbles: true }));
  };
  text.addEventListener("input", async () => {
    values = values || await fetch("/values").then((answer) => answer.json()).catch(() => ({}));
    found = completionsAt(text.value, text.selectionStart, values);
    chosen = -1;
    show();
  });
  text.addEventListener("blur", () => { list.hidden = true; text.setAttribute("aria-expanded", "false"); });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && (list.hidden || chosen < 0)) { event.preventDefault(); if (!event.ctrlKey) text.form.requestSubmit($("#submit")); return; }
    if (list.hidden) return;
    const most = Math.min(found.options.length, 12);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + most) % most; show(); }
    if (event.key === "Enter" || event.key === "Tab") { if (chosen >= 0) { event.preventDefault(); take(chosen); } }
    if (event.key === "Escape") { event.stopPropagation(); list.hidden = true; }
  });
  if (!builder) return;
  const rows = [];
  const write = () => { text.value = fromRows(rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, input]) => [name, input.value])))); text.dispatchEvent(new Event("input", { bubbles: true })); list.hidden = true; };
  const select = (options, label) => { const made = document.createElement("select"); made.setAttribute("aria-label", label); made.append(...options.map((option) => new Option(option, option))); return made; };
  const add = () => {
    const line = document.createElement("div");
    line.className = "builder-row";
    const row = { field: select([...INT_FIELDS, ...STR_FIELDS], worded("attribute")), operator: select(OPERATORS.int, worded("comparison")), value: document.createElement("input"), join: select(["AND", "OR"], worded("joined_by")) };
    row.value.type = "text";
    row.value.setAttribute("aria-label", worded("value"));
    row.field.addEventListener("change", () => { row.operator.replaceChildren(...OPERATORS[INT_FIELDS.includes(row.field.value) ? "int" : "str"].map((each) => new Option(each, each))); });
    for (const input of Object.values(row)) input.addEventListener("change", write);
    line.append(row.field, row.operator, row.value, row.join);
    rows.push(row);
    builder.insertBefore(line, more);
  };
  const more = document.createElement("button");
  more.type = "button";
  more.textContent = worded("another_row");
  more.addEventListener("click", add);
  builder.append(more);
  add();
};

/* ---- images: dropped, pasted ---- */
const give = (file) => {
  const inputs = $$('.well input[type="file"]');
  const empty = inputs.find((input) => !$(`[name="image_sha${input.name.slice(5)}"]`).value) || inputs[0];
  if (!empty || !file) return false;
  const data = new DataTransfer();
  data.items.add(file);
  empty.files = data.files;
  empty.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
};
document.addEventListener("dragover", (event) => { if ([...event.dataTransfer.types].includes("Files")) { event.preventDefault(); for (const well of $$(".well")) well.classList.add("over"); } });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) for (const well of $$(".well")) well.classList.remove("over"); });
document.addEventListener("drop", (event) => { if (give([...event.dataTransfer.files].find((file) => file.type.startsWith("image/")) || event.dataTransfer.files[0])) event.preventDefault(); });
document.addEventListener("paste", (event) => { if (give([...event.clipboardData.files].find((file) => file.type.startsWith("image/")))) event.preventDefault(); });

/* ---- a page has begun ---- */
const began = () => {
  const form = $("#search-form") || $("#compare-form");
  if (form) {
    prepare(form);
    for (const input of $$('input[type="file"]', form)) input.addEventListener("change", () => { if (input.files.length) send(form, $('.well button[value="show"]', form)); });
    const stage = $("#stage");
    if (stage) drawRegion(stage, form, say);
  }
  enliven(document, copy);
  for (const image of $$("img[data-thumbnail]")) {
    image.addEventListener("error", () => { const none = document.createElement("div"); none.className = "frame none"; none.textContent = worded("no_image"); image.replaceWith(none); });
  }
  for (const button of $$("[data-copy]")) button.addEventListener("click", () => copy($(`#${button.dataset.copy}`).textContent, button));
  for (const field of $$("[data-find]")) {
    const place = $(`#${field.dataset.find}`);
    const text = place.textContent;
    field.addEventListener("input", () => {
      const at = field.value ? text.toLowerCase().indexOf(field.value.toLowerCase()) : -1;
      if (at < 0) { place.textContent = text; return; }
      const hit = document.createElement("mark");
      hit.textContent = text.slice(at, at + field.value.length);
      place.replaceChildren(text.slice(0, at), hit, text.slice(at + field.value.length));
      hit.scrollIntoView({ block: "nearest" });
    });
  }
  const closely = $("#look-closely");
  if (closely) {
    closely.addEventListener("click", async () => {
      const { openViewer } = await import("/assets/viewer.js");
      const [left, right] = $$("img.large").map((image) => ({ label: image.alt, src: image.src, width: image.naturalWidth, height: image.naturalHeight, boxes: [] }));
      openViewer({ pairs: [{ a: left.label, b: right.label, left, right, facts: [] }], start: 0, closed: () => closely.focus() });
    });
  }
  starting();
};

/* ---- keyboard, theme ---- */
const letters = () => kept.get("batchsearch.letters") !== "off";
const box = $("#letters");
box.checked = letters();
box.addEventListener("change", () => kept.set("batchsearch.letters", box.checked ? "on" : "off"));
const help = $("#help");
$("#help-button").addEventListener("click", () => help.showModal());
$("#help-close").addEventListener("click", () => help.close());
const THEMES = { system: worded("theme_system"), light: worded("theme_light"), dark: worded("theme_dark") };
let theme = kept.get("batchsearch.theme") in THEMES ? kept.get("batchsearch.theme") : "system";
const wear = () => {
  if (theme === "system") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  $("#theme-button").textContent = worded("theme", { theme: THEMES[theme] });
};
$("#theme-button").addEventListener("click", () => { const names = Object.keys(THEMES); theme = names[(names.indexOf(theme) + 1) % names.length]; kept.set("batchsearch.theme", theme); wear(); });
wear();
const LETTERS = { s: "/search", c: "/compare", i: "/items", d: "/runs", h: "/history" };
let went = 0;
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && busy) { cancel(); return; }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { const submit = $("#submit"); if (submit && !submit.disabled) { event.preventDefault(); submit.form.requestSubmit(submit); } return; }
  if (event.ctrlKey || event.metaKey || event.altKey || help.open || typing(event.target) || !letters()) return;
  if (event.key === "?") { event.preventDefault(); help.showModal(); return; }
  if (event.key === "/") { const first = $('form input:not([type="hidden"]):not([type="radio"]), form select', $("#main")); if (first) { event.preventDefault(); first.focus(); } return; }
  if (event.key === "g") { went = event.timeStamp; return; }
  if (event.timeStamp - went < 1500 && LETTERS[event.key]) { event.preventDefault(); location.assign(LETTERS[event.key]); }
});
addEventListener("popstate", () => { turn(location.href, {}, false).catch(() => location.reload()); });
began();
if ($("#search-form")) recall($("#search-form"));
