// Texts from outside reach the page through textContent and attributes only; nothing here parses markup.
(() => {
  const read = (id) => {
    const block = document.getElementById(id);
    return block ? JSON.parse(block.textContent) : null;
  };
  const setup = read("setup");
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const PAGE_SIZES = [12, 24, 48, 96];
  const MEMBER = { product: 0, thumbnail: 1, score: 2, images: 3, image: 4 };

  // h("p.muted", {title: "x"}, "text", child): an element, its attributes and what is in it.
  const h = (what, attributes, ...children) => {
    const [tag, ...classes] = what.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("aria-") && typeof value === "boolean") element.setAttribute(name, String(value));
      else if (value === null || value === undefined || value === false) continue;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  };
  const s = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    return element;
  };
  const out = (text, what = "span") => h(`${what}.out`, null, text === null || text === undefined ? "–" : String(text));
  const count = (number) => Number(number).toLocaleString("en-US");
  const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
  const category = (id) => setup.categories[id] || `category ${id}`;
  // A key of several columns is a JSON array; people read its parts.
  const keyText = (key) => {
    try {
      const parts = key && key.startsWith("[") ? JSON.parse(key) : null;
      return Array.isArray(parts) ? parts.join(" · ") : key;
    } catch { return key; }
  };
  const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;
  const memory = {
    get(name) { try { return localStorage.getItem(name); } catch { return null; } },
    set(name, value) { try { localStorage.setItem(name, value); return true; } catch { return false; } },
  };

  /* ---- thumbnails: read block by block, when first seen ---- */
  const blocks = new Map();
  const thumbnail = (index) => {
    if (index === undefined || index < 0) return "not shown";
    const number = Math.floor(index / setup.per);
    if (!blocks.has(number)) blocks.set(number, read(`thumbnails-${number}`) || []);
    return blocks.get(number)[index % setup.per] || "not shown";
  };
  // `known` is what the card says already of an image that is not there.
  const frame = (index, label, known) => {
    const found = thumbnail(index);
    if (typeof found === "string") {
      return h("div.frame", { role: "img", "aria-label": `${label}: no image, ${found}` }, h("span.none", null, found === known ? "no image" : found));
    }
    const [data, width, height, boxes] = found;
    const image = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    image.append(s("image", { href: `data:image/jpeg;base64,${data}`, width, height }));
    boxes.slice().reverse().forEach(([x, y, w, t], place) => {
      const main = place === boxes.length - 1;
      const at = { x: x + 1, y: y + 1, width: Math.max(1, w - 2), height: Math.max(1, t - 2) };
      if (main) image.append(s("rect", { ...at, class: "region-edge" }));
      image.append(s("rect", { ...at, class: main ? "region" : "region more" }));
    });
    return h("div.frame", null, image);
  };

  // The same for the close look.
  const picture = (index, label, known) => ({
    label: String(label),
    get found() { const it = thumbnail(index); return typeof it === "string" ? null : it; },
    get src() { return this.found && `data:image/jpeg;base64,${this.found[0]}`; },
    get width() { return this.found ? this.found[1] : 0; },
    get height() { return this.found ? this.found[2] : 0; },
    get boxes() { return this.found ? this.found[3] : []; },
    get why() { const it = thumbnail(index); return typeof it !== "string" || it === known ? "no image" : it; },
  });

  /* ---- judgements ---- */
  // What the night followed, what this browser remembers and what is judged here are one: the newest of each
  // pair holds. `none` is a judgement taken back: it stays, so that no older file brings it up again.
  const judged = new Map();
  const followed = new Map();
  const NOBODY = "none";
  const moment = (each) => Date.parse(each.judged_at) || 0;
  const memoryName = `batchsearch.judgements.${setup.name}`;
  // Code points, as the other side compares texts; UTF-16 units would order some pairs otherwise.
  const before = (a, b) => {
    const [left, right] = [Array.from(a), Array.from(b)];
    for (let place = 0; place < Math.min(left.length, right.length); place += 1) {
      if (left[place] !== right[place]) return left[place].codePointAt(0) < right[place].codePointAt(0);
    }
    return left.length < right.length;
  };
  const pairOf = (a, b) => (before(a, b) ? [a, b] : [b, a]);
  const pairName = (a, b) => JSON.stringify(pairOf(a, b));
  const judgementOf = (a, b) => {
    const said = (judged.get(pairName(a, b)) || {}).judgement || NOBODY;
    return said === NOBODY ? null : said;
  };
  const undone = [];
  const judge = (pairs, judgement) => {
    const before = pairs.map(([a, b]) => [pairName(a, b), judged.get(pairName(a, b))]);
    for (const [a, b] of pairs) {
      if (a === b) continue;
      const name = pairName(a, b);
      if (judgement === null && !followed.has(name)) { judged.delete(name); continue; }
      const [first, second] = pairOf(a, b);
      const note = (judged.get(name) || {}).note || "";
      judged.set(name, { product_a: first, product_b: second, judgement: judgement || NOBODY, judged_at: new Date().toISOString(), note });
    }
    undone.push(before);
    keep();
  };
  const undo = () => {
    for (const [name, said] of undone.pop() || []) {
      if (said) judged.set(name, said);
      else judged.delete(name);
    }
    keep();
  };
  const own = () => [...judged].filter(([name, each]) => each !== followed.get(name)).map(([, each]) => each);
  const keep = () => {
    if (setup.live) { sendLive(); return; }
    const kept = memory.set(memoryName, JSON.stringify(own()));
    tell(kept);
  };
  // Beside a server each judgement goes into its file at once; what is not there yet is sent again.
  const written = new Map();
  let sending = Promise.resolve();
  const sendLive = () => {
    sending = sending.then(async () => {
      const gone = [...written.keys()].filter((name) => !judged.has(name)).map((name) => ({ ...written.get(name), judgement: NOBODY, name }));
      const fresh = [...judged].filter(([name, each]) => each !== written.get(name)).map(([name, each]) => ({ ...each, name }));
      if (!gone.length && !fresh.length) return;
      const body = new URLSearchParams();
      for (const each of [...gone, ...fresh]) for (const field of ["product_a", "product_b", "judgement", "note"]) body.append(field, each[field] || "");
      try {
        const answer = await fetch(setup.live[0], { method: "POST", body, headers: { "X-CSRF-Token": setup.live[1] } });
        const told = await answer.json();
        if (!answer.ok) throw new Error(told.error);
        for (const each of gone) written.delete(each.name);
        for (const each of fresh) written.set(each.name, judged.get(each.name));
        tell(true);
      } catch (error) { tell(false, error.message); }
    });
  };
  const tell = (kept, trouble) => {
    const place = document.getElementById("judged-count");
    if (!place) return;
    const all = [...judged.values()].filter((each) => each.judgement !== NOBODY);
    const same = all.filter((each) => each.judgement === "same").length;
    const fresh = own().length;
    const since = followed.size ? `${count(fresh)} of them since the night; ` : "";
    const nowhere = trouble ? `not written (${trouble}): judge again, or export before closing` : "not kept anywhere: export before closing";
    const where = !kept ? nowhere : setup.live ? "each is written at once to the file that the next night follows" : "kept in this browser until exported";
    place.textContent = all.length || fresh
      ? `${plural(all.length, "pair", "pairs")} judged: ${count(same)} same, ${count(all.length - same)} different; ${since}${where}.`
      : "Nothing is judged yet.";
    document.getElementById("export-button").disabled = !judged.size;
  };
  const accept = (entries) => {
    let taken = 0, newest = 0;
    for (const each of entries) {
      if (!each || typeof each.product_a !== "string" || typeof each.product_b !== "string") continue;
      if (each.product_a === each.product_b || !["same", "different", NOBODY].includes(each.judgement)) continue;
      const [product_a, product_b] = pairOf(each.product_a, each.product_b);
      const [judged_at, note] = [String(each.judged_at || ""), String(each.note || "")];
      const [name, said] = [pairName(product_a, product_b), { product_a, product_b, judgement: each.judgement, judged_at, note }];
      // A line without a moment is no older than those before it.
      newest = Math.max(newest, moment(said));
      taken += 1;
      if (!judged_at && newest) said.judged_at = new Date(newest).toISOString();
      if (!judged.has(name) || moment(said) >= moment(judged.get(name))) judged.set(name, said);
    }
    return taken;
  };
  const COLUMNS = ["product_a", "product_b", "judgement", "judged_at", "note"];
  const csvOf = (entries) => {
    const cell = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    return [COLUMNS, ...entries.map((each) => COLUMNS.map((name) => each[name]))]
      .map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  };
  const csvRows = (text) => {
    const rows = [];
    let row = [], cell = "", quoted = false;
    const source = text.replace(/^\ufeff/, "");
    for (let place = 0; place < source.length; place += 1) {
      const sign = source[place];
      if (quoted) {
        if (sign !== '"') cell += sign;
        else if (source[place + 1] === '"') { cell += '"'; place += 1; }
        else quoted = false;
      } else if (sign === '"') quoted = true;
      else if (sign === ",") { row.push(cell); cell = ""; }
      else if (sign === "\n") { row.push(cell); rows.push(row); row = []; cell = ""; }
      else if (sign !== "\r") cell += sign;
    }
    if (cell || row.length) { row.push(cell); rows.push(row); }
    const [head, ...rest] = rows;
    return rest.map((each) => Object.fromEntries((head || []).map((name, place) => [name, each[place] || ""])));
  };
  const exportJudgements = () => {
    if (!judged.size) return;
    const entries = [...judged.values()].sort((x, y) => (before(x.product_a + "\0" + x.product_b, y.product_a + "\0" + y.product_b) ? -1 : 1));
    const address = URL.createObjectURL(new Blob([csvOf(entries)], { type: "text/csv;charset=utf-8" }));
    const link = h("a", { href: address, download: "judgements.csv" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };
  const buttons = (a, b, changed) => {
    const now = judgementOf(a, b);
    const one = (word, label) => h(`button.${word}`, {
      type: "button", "aria-pressed": now === word, "aria-label": `${label}: ${a} and ${b}`,
      onclick: (event) => { event.stopPropagation(); judge([[a, b]], now === word ? null : word); changed(); },
    }, label);
    return h("div.judge", { role: "group", "aria-label": "Judgement" }, one("same", "Same"), one("different", "Different"));
  };

  /* ---- cards ---- */
  const hint = (text) => (text ? { title: String(text) } : {});
  const closely = (what) => h("button.closely", { type: "button", "aria-label": `Look closely: ${what}` }, "Look closely");
  const memberOf = (card, place, changed) => {
    const [product, index, value, images, image] = card.m[place];
    const head = card.m[0][MEMBER.product];
    const verdict = place && setup.judged ? judgementOf(head, product) : null;
    const element = h(`li.member${verdict ? `.${verdict}` : ""}`, { tabindex: "-1", "data-place": place, ...hint(image) },
      frame(index, place ? `product ${product}` : `product ${product}, the one to keep`),
      h("div.id.out", hint(product), product),
      h("div.sub", null, place ? h("span.strong", null, score(value)) : h("span.strong", null, "keep this one"),
        h("span.what", null, images ? plural(images, "image", "images") : "")));
    if (place && setup.judged) element.append(buttons(head, product, changed));
    return element;
  };
  const drawCluster = (card, changed) => {
    const more = card.n - card.m.length;
    const element = h(`li.card.panel${card.m.length > 2 ? "" : ".small"}`, { tabindex: "-1", "aria-label": `Cluster ${card.k}, ${plural(card.n, "product", "products")}` },
      h("div.head", null, h("span.name.out", null, card.k),
        h("span.facts-line", null, [plural(card.n, "product", "products"), `confidence ${score(card.c)}`,
          card.g === undefined ? "" : category(card.g)].filter(Boolean).join(" · ")),
        ...(card.v || []).map((why) => h("span.pill.warn.out", null, why)), closely(`cluster ${card.k}`)),
      h("ul.members", { "aria-label": "Products" }, card.m.map((_, place) => memberOf(card, place, changed))));
    if (more > 0) element.append(h("p.muted", null, `${plural(more, "more product is", "more products are")} in this cluster; clusters/ has them all.`));
    if (card.p) {
      element.append(h("details.inner", null, h("summary", null, card.p.length === 1 ? "Why" : `Why: ${plural(card.p.length, "pair inside", "pairs inside")}`),
        h("table", null, card.p.slice().sort((x, y) => (y[2] || 0) - (x[2] || 0)).map(([a, b, value, , , decision]) => h("tr", null,
          out(card.m[a][MEMBER.product], "td"), out(card.m[b][MEMBER.product], "td"), h("td.num", null, score(value)),
          out(decision, "td"))))));
    }
    return element;
  };
  const side = (index, name, detail) => h("div.member", { tabindex: "-1", ...hint(detail) },
    frame(index, String(name)), h("div.id.out", hint(name), name === undefined ? "–" : name),
    detail && detail !== name ? h("div.sub", null, h("span.what.out", null, detail)) : null);
  const FOUND = { search: "found by a search", identical_bytes: "the same file", identical_pixels: "the same pixels",
    perceptual: "alike by perceptual hash", judgement: "joined by a judgement" };
  const waysOf = (card) => [FOUND[card.f] || card.f, card.u ? "each is among the other's best" : "",
    card.g === undefined ? "" : category(card.g), card.j ? `judged ${card.j} before` : ""].filter(Boolean);
  const foot = (...parts) => h("div.foot", null, ...parts);
  const drawProducts = (card, changed) => {
    const verdict = judgementOf(card.a, card.b);
    const note = verdict ? h("input", {
      type: "text", placeholder: "Note", "aria-label": `Note on ${card.a} and ${card.b}`, maxlength: "500", value: judged.get(pairName(card.a, card.b)).note,
      onchange: (event) => { judged.get(pairName(card.a, card.b)).note = event.target.value; keep(); },
    }) : null;
    return h(`li.card.panel${verdict ? `.${verdict}` : ""}`, { tabindex: "-1", "aria-label": `Products ${card.a} and ${card.b}, score ${score(card.s)}` },
      h("div.head", null, h("span.pair-score", null, score(card.s)), h("span.facts-line", null, waysOf(card).join(" · "))),
      h("p.decision.out", null, card.x),
      h("div.pair-images", null, side(card.ta, card.a, card.na || card.pa), side(card.tb, card.b, card.nb || card.pb)),
      foot(buttons(card.a, card.b, changed), closely(`${card.a} and ${card.b}`), note),
      card.z && card.z.length > 1 ? h("details.inner", null, h("summary", null, "All numbers"), h("ul", null, card.z.map((text) => out(text, "li")))) : null);
  };
  const drawPair = (card) => h("li.card.panel", { tabindex: "-1", "aria-label": `Pair ${card.k}, ${card.e ? `failed: ${card.e}` : `score ${score(card.s)}`}` },
    h("div.head", null, card.e ? h("span.pill.bad.out", null, card.e) : h("span.pair-score", null, score(card.s)), h("span.facts-line.out", null, [keyText(card.k), card.u].filter(Boolean).join(" · "))),
    card.x && card.e ? h("p.message.out", null, card.x) : null,
    h("div.pair-images", null, side(card.ta, card.pa, card.pa), side(card.tb, card.pb, card.pb)),
    card.e ? null : foot(closely(`pair ${keyText(card.k)}`)));
  const drawRow = (card) => {
    const facts = [card.part || "", card.n === undefined ? "" : plural(card.n, "hit", "hits"), card.g === undefined ? "" : category(card.g)];
    const hits = (card.h || []).map(([product, image, value, index]) => h("li.member", { tabindex: "-1", ...hint(image) },
      frame(index, `hit ${product}, score ${score(value)}`), h("div.id.out", hint(product), product),
      h("div.sub", null, h("span.strong", null, score(value)), h("span.what.out", null, image))));
    if (card.e) {
      return h("li.card.panel.failed", { tabindex: "-1", "aria-label": `Row ${keyText(card.k)}, failed: ${card.e}` },
        h("div.member", { tabindex: "-1", ...hint(card.q) }, frame(card.t, "image of the row", card.e)),
        h("div", null, h("div.head", null, h("span.name.out", null, keyText(card.k)), h("span.pill.bad.out", null, card.e),
          card.part ? h("span.facts-line", null, card.part) : null),
          card.x ? h("p.message.out", null, card.x) : null, card.q ? h("p.muted.out", null, card.q) : null));
    }
    const searched = card.n !== undefined;
    return h(`li.card.panel${searched ? "" : ".small"}`, { tabindex: "-1", "aria-label": `Row ${keyText(card.k)}${searched ? `, ${plural(card.n, "hit", "hits")}` : ""}` },
      h("div.head", null, h("span.name.out", null, keyText(card.k)), h("span.facts-line", null, facts.filter(Boolean).join(" · ")),
        hits.length ? closely(`row ${keyText(card.k)}`) : null),
      h("div.query", null, h("div.member", { tabindex: "-1", ...hint(card.q) }, frame(card.t, searched ? "image searched" : "image of the row"), h("div.sub", null, h("span.what.out", null, card.q || ""))),
        hits.length ? h("span.arrow", { "aria-hidden": "true" }, "→") : null,
        hits.length ? h("ul.members", { "aria-label": "First hits" }, hits) : null,
        searched && !hits.length ? h("p.muted", null, "Nothing was found.") : null));
  };

  /* ---- pairs for the close look, card by card ---- */
  const MOST_CLOSE = 2000;
  const insideOf = (card, place) => (card.p || []).find(([a, b]) => (a === 0 && b === place) || (a === place && b === 0));
  const closeCluster = (card) => card.m.slice(1).map(([product, index, value], number) => {
    const [head, headIndex] = card.m[0];
    const inside = insideOf(card, number + 1);
    return { card, a: head, b: product, left: picture(headIndex, head), right: picture(index, product),
      facts: [`cluster ${card.k}, ${head} is the one to keep`, `score ${score(value)}`, inside ? inside[5] : "no pair of its own: they are joined through others", ...(card.v || [])] };
  });
  const closeProducts = (card) => [{ card, a: card.a, b: card.b, left: picture(card.ta, card.a), right: picture(card.tb, card.b),
    facts: [card.x, ...(card.z || []), ...waysOf(card), card.na, card.nb] }];
  const closePair = (card) => (card.e ? [] : [{ card, a: card.pa, b: card.pb, left: picture(card.ta, card.pa || "first image"), right: picture(card.tb, card.pb || "second image"),
    facts: [`score ${score(card.s)}`, keyText(card.k), card.u] }]);
  const closeRow = (card) => (card.h || []).map(([product, image, value, index], rank) => ({ card, a: card.k, b: product,
    left: picture(card.t, keyText(card.k)), right: picture(index, product), facts: [`hit ${rank + 1}`, `score ${score(value)}`, image] }));

  /* ---- kinds of galleries: how to draw, find, sort and filter ---- */
  const down = (of) => (x, y) => (of(y) ?? -Infinity) - (of(x) ?? -Infinity);
  const up = (of) => (x, y) => (of(x) ?? Infinity) - (of(y) ?? Infinity);
  const bestInside = (card) => card.m.slice(1).reduce((best, member) => Math.max(best, member[MEMBER.score] ?? 0), 0);
  const KINDS = {
    clusters: {
      draw: drawCluster, noun: ["cluster", "clusters"], size: true, score: "Confidence", scoreOf: (card) => card.c, close: closeCluster,
      text: (card) => [card.k, ...(card.v || []), ...card.m.flatMap((member) => [member[MEMBER.product], member[MEMBER.image] || ""])],
      judgedPairs: (card) => card.m.slice(1).map((member) => [card.m[0][MEMBER.product], member[MEMBER.product]]),
      sorts: [["To be looked at first", null], ["Largest first", down((card) => card.n)], ["Least certain first", up((card) => card.c)],
        ["Most certain first", down((card) => card.c)], ["Highest score first", down(bestInside)], ["By id", (x, y) => (before(x.k, y.k) ? -1 : 1)]],
    },
    products: {
      draw: drawProducts, noun: ["pair", "pairs"], score: "Score", scoreOf: (card) => card.s, decided: true, narrow: true, close: closeProducts,
      text: (card) => [card.a, card.b, card.pa || "", card.pb || "", card.f || "", card.x || "", card.na || "", card.nb || ""], judgedPairs: (card) => [[card.a, card.b]],
      sorts: [["Most worth a look first", null], ["Highest score first", down((card) => card.s)], ["Lowest score first", up((card) => card.s)],
        ["By id", (x, y) => (before(x.a + "\0" + x.b, y.a + "\0" + y.b) ? -1 : 1)]],
    },
    pairs: {
      draw: drawPair, noun: ["pair", "pairs"], score: "Score", scoreOf: (card) => card.s, codes: true, narrow: true, regions: false, close: closePair,
      text: (card) => [card.k, card.pa || "", card.pb || "", card.u || "", card.e || "", card.x || ""],
      sorts: [["Highest score first", down((card) => card.s)], ["Lowest score first", up((card) => card.s)], ["Failed first", (x, y) => (y.e ? 1 : 0) - (x.e ? 1 : 0)]],
    },
    rows: {
      draw: drawRow, noun: ["row", "rows"], score: "First score", scoreOf: (card) => card.s, codes: true, close: closeRow,
      text: (card) => [card.k, card.q || "", card.e || "", card.x || "", ...(card.h || []).flatMap((hit) => [hit[0] || "", hit[1] || ""])],
      sorts: [["Failed first", null], ["Lowest first score first", up((card) => card.s)], ["Highest first score first", down((card) => card.s)]],
    },
  };

  /* ---- filters by one choice: when there is one, what can be chosen, which cards pass ---- */
  const valuesOf = (gallery, of) => [...new Set(gallery.cards.flatMap((card) => of(card) ?? []))];
  const plain = (values) => values.map((value) => [value, value]);
  const verdictsOf = (gallery, card) => gallery.kind.judgedPairs(card).map(([a, b]) => judgementOf(a, b) || card.j || null);
  const CHOICES = [
    { name: "category", label: "Category", passes: (card, value) => String(card.g) === value,
      options: (gallery) => { const ids = valuesOf(gallery, (card) => card.g).sort((x, y) => x - y); return ids.length > 1 ? ids.map((id) => [id, category(id)]) : []; } },
    { name: "part", label: "Part", passes: (card, value) => card.part === value,
      options: (gallery) => { const parts = valuesOf(gallery, (card) => card.part); return parts.length > 1 ? plain(parts) : []; } },
    { name: "group", label: "Group", passes: (card, value) => card.u === value,
      options: (gallery) => (gallery.kind === KINDS.pairs ? plain(valuesOf(gallery, (card) => card.u).sort()) : []) },
    { name: "code", label: "Outcome", passes: (card, value) => (value === "ok" ? !card.e : value === "failed" ? Boolean(card.e) : `=${card.e}` === value),
      options: (gallery) => { const codes = gallery.kind.codes ? valuesOf(gallery, (card) => card.e).sort() : []; return codes.length ? [["ok", "ok"], ["failed", "any failure"], ...codes.map((code) => [`=${code}`, code])] : []; } },
    { name: "accepted", label: "Decision", passes: (card, value) => (value === "open" ? Boolean(card.o) && judgementOf(card.a, card.b) === null : String(card.ok) === value),
      options: (gallery) => (gallery.kind.decided ? [["1", "accepted"], ["0", "not accepted"], ["open", "for people, undecided"]] : []) },
    { name: "reason", label: "Why", passes: (card, value) => card.r === value,
      options: (gallery) => (gallery.kind.decided ? plain(valuesOf(gallery, (card) => card.r).sort()) : []) },
    { name: "why", label: "Reason to look", passes: (card, value) => (value === "any" ? Boolean(card.v) : (card.y || []).includes(value)),
      options: (gallery) => { const kinds = valuesOf(gallery, (card) => card.y).sort(); return kinds.length ? [["any", "for any reason"], ...plain(kinds)] : []; } },
    { name: "judged", label: "Judgement", passes: (card, value, gallery) => {
      const verdicts = verdictsOf(gallery, card);
      return value === "no" ? verdicts.includes(null) : value === "yes" ? verdicts.some(Boolean) : verdicts.includes(value);
    }, options: (gallery) => (setup.judged && gallery.kind.judgedPairs ? [["no", "not judged"], ["yes", "judged"], ["same", "same"], ["different", "different"]] : []) },
  ];

  class Gallery {
    constructor(root) {
      this.root = root;
      this.name = root.dataset.kind;
      this.kind = KINDS[this.name];
      this.mount = root.querySelector(".mount");
      this.charts = [...root.querySelectorAll("svg[data-chooses]")].map((svg) => new Picker(svg, this));
      this.started = false;
      this.page = 0;
      this.perPage = 24;
      this.focused = 0;
    }

    start() {
      if (this.started) return;
      this.started = true;
      this.cards = read(`data-${this.name}`) || [];
      this.found = this.cards;
      if (!this.cards.length) {
        this.mount.append(h("div.panel.empty", null, h("strong", null, `No ${this.kind.noun[1]}`), "There is nothing to show here."));
        return;
      }
      this.texts = null;
      this.build();
      this.apply();
    }

    get isUsable() { return this.started && this.cards.length > 0; }

    build() {
      const again = () => { this.page = 0; this.focused = 0; this.apply(); remember(); };
      const field = (label, control) => h("label", null, label, control);
      let timer = 0;
      this.text = h("input", { type: "search", placeholder: "Id, image, reason …", autocomplete: "off", spellcheck: "false", oninput: () => { clearTimeout(timer); timer = setTimeout(again, 120); } });
      this.sort = h("select", { onchange: again }, this.kind.sorts.map(([label], place) => h("option", { value: place }, label)));
      const controls = [field("Find", this.text), field("Sort", this.sort)];
      this.low = h("input", { type: "number", min: "0", max: "1", step: "any", placeholder: "0", "aria-label": `${this.kind.score} from`, oninput: again });
      this.high = h("input", { type: "number", min: "0", max: "1", step: "any", placeholder: "1", "aria-label": `${this.kind.score} to`, oninput: again });
      if (this.cards.some((card) => this.kind.scoreOf(card) !== undefined)) {
        controls.push(h("div.field", { role: "group", "aria-label": this.kind.score }, this.kind.score, h("span.range", null, this.low, "to", this.high)));
      }
      this.size = h("input", { type: "number", min: "2", step: "1", placeholder: "2", oninput: again });
      if (this.kind.size) controls.push(field("Products from", this.size));
      this.choices = CHOICES.map((choice) => ({ ...choice, list: choice.options(this) })).filter((choice) => choice.list.length).map((choice) => {
        const control = h("select", { onchange: again }, [["", "All"], ...choice.list].map(([value, label]) => h("option", { value }, label)));
        controls.push(field(choice.label, control));
        return { ...choice, control };
      });
      this.regions = h("input", { type: "checkbox", checked: true, onchange: () => this.list.classList.toggle("no-regions", !this.regions.checked) });
      if (this.kind.regions !== false) controls.push(h("label.check", null, this.regions, "Regions"));
      const reset = h("button", { type: "button", onclick: () => { this.set(new URLSearchParams()); again(); } }, "Clear filters");
      this.bar = h("div.bar.panel", { role: "search", "aria-label": `Filters of ${this.kind.noun[1]}` }, controls, reset);
      this.status = h("span", { role: "status" });
      this.list = h(`ul.cards${this.kind.narrow ? ".pairs" : ".wide"}`, { "aria-label": this.kind.noun[1] });
      this.list.addEventListener("focusin", (event) => {
        const card = event.target.closest(".card");
        if (card) this.focused = [...this.list.children].indexOf(card);
      });
      this.list.addEventListener("click", (event) => {
        if (event.target.closest(".closely")) this.lookClosely(event.target);
      });
      this.above = this.pager("above");
      this.below = this.pager("below");
      this.mount.append(this.bar, h("div.pager", null, this.status, h("span.grow"), ...this.above.parts), this.list, h("div.pager", null, h("span.grow"), ...this.below.parts));
    }

    /* What is chosen, as it stands in the address; what is as it was at first is left out. */
    state() {
      const found = new URLSearchParams({ view: this.name });
      const note = (name, value) => { if (value) found.set(name, value); };
      note("find", this.text.value.trim());
      note("sort", this.sort.value === "0" ? "" : this.sort.value);
      note("score", this.low.value || this.high.value ? `${this.low.value}..${this.high.value}` : "");
      note("size", this.size.value);
      for (const { name, control } of this.choices) note(name, control.value);
      note("page", this.page ? String(this.page + 1) : "");
      return found;
    }

    set(wanted) {
      this.text.value = wanted.get("find") || "";
      this.sort.value = this.kind.sorts[Number(wanted.get("sort"))] ? String(Number(wanted.get("sort"))) : "0";
      [this.low.value, this.high.value] = [...(wanted.get("score") || "").split(".."), ""];
      this.size.value = wanted.get("size") || "";
      for (const { name, control } of this.choices) {
        const value = wanted.get(name) || "";
        // What no card on this page has can be asked for all the same: then nothing is shown, not everything.
        if (![...control.options].some((option) => option.value === value)) control.append(h("option", { value }, value.replace(/^=/, "")));
        control.value = value;
      }
      this.page = Math.max(0, (Number.parseInt(wanted.get("page") || "1", 10) || 1) - 1);
      this.focused = 0;
    }

    range(low, high) {
      [this.low.value, this.high.value] = [low, high];
      this.page = 0;
      this.focused = 0;
      this.apply();
      remember();
    }

    pager(place) {
      const back = h("button", { type: "button", onclick: () => this.turn(-1) }, "← Previous");
      const next = h("button", { type: "button", onclick: () => this.turn(1) }, "Next →");
      const where = h("span");
      const size = h("select", { "aria-label": `Cards on a page, ${place}`, onchange: () => { this.perPage = Number(size.value); this.page = 0; this.apply(); } },
        PAGE_SIZES.map((each) => h("option", { value: each, selected: each === this.perPage }, `${each} a page`)));
      return { back, next, where, size, parts: [where, size, back, next] };
    }

    apply() {
      const words = this.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      if (words.length && !this.texts) this.texts = new Map(this.cards.map((card) => [card, this.kind.text(card).join("\n").toLowerCase()]));
      const [low, high] = [this.low, this.high].map((input) => (input.value === "" ? null : Number(input.value)));
      const minimum = Number(this.size.value || 0);
      const chosen = this.choices.filter((choice) => choice.control.value !== "");
      this.found = this.cards.filter((card) => {
        const at = this.kind.scoreOf(card);
        if (low !== null && !(at >= low)) return false;
        if (high !== null && !(at <= high)) return false;
        if (minimum && card.n < minimum) return false;
        if (!chosen.every((choice) => choice.passes(card, choice.control.value, this))) return false;
        return !words.length || words.every((word) => this.texts.get(card).includes(word));
      });
      const order = this.kind.sorts[Number(this.sort.value)][1];
      if (order) this.found = this.found.slice().sort(order);
      for (const chart of this.charts) chart.mark(low, high);
      this.draw();
    }

    get pages() { return Math.max(1, Math.ceil(this.found.length / this.perPage)); }

    draw() {
      this.page = Math.min(this.page, this.pages - 1);
      const first = this.page * this.perPage;
      this.shown = this.found.slice(first, first + this.perPage);
      this.list.replaceChildren(...this.shown.map((card) => this.drawn(card)));
      if (!this.shown.length) {
        this.list.append(h("li.panel.empty", null, h("strong", null, "Nothing fits these filters"), `None of the ${plural(this.cards.length, this.kind.noun[0], this.kind.noun[1])} on this page does. Clear some of the filters.`));
      } else this.list.children[0].tabIndex = 0;
      const last = first + this.shown.length;
      const of = this.found.length === this.cards.length ? "" : `, of ${count(this.cards.length)}`;
      this.status.textContent = this.shown.length ? `${count(first + 1)}–${count(last)} of ${plural(this.found.length, this.kind.noun[0], this.kind.noun[1])}${of}` : `0 ${this.kind.noun[1]}${of}`;
      for (const pager of [this.above, this.below]) {
        pager.where.textContent = `Page ${count(this.page + 1)} of ${count(this.pages)}`;
        pager.back.disabled = this.page === 0;
        pager.next.disabled = this.page >= this.pages - 1;
        pager.size.value = String(this.perPage);
      }
    }

    drawn(card) {
      const element = this.kind.draw(card, () => this.redraw(card));
      element.card = card;
      return element;
    }

    // One card is drawn anew in its place; the focus stays on the same part of it.
    redraw(card) {
      const place = this.shown.indexOf(card);
      const old = this.list.children[place];
      const inside = old.contains(document.activeElement);
      const part = inside ? document.activeElement.closest("[data-place]") : null;
      const button = inside && document.activeElement.matches(".judge button") ? document.activeElement.classList[0] : null;
      const element = this.drawn(card);
      element.tabIndex = old.tabIndex;
      old.replaceWith(element);
      if (!inside) return;
      const area = part ? element.querySelector(`[data-place="${part.dataset.place}"]`) : element;
      ((button && area.querySelector(`.judge .${button}`)) || area).focus();
    }

    turn(by) {
      const page = Math.min(Math.max(0, this.page + by), this.pages - 1);
      if (page === this.page) return;
      this.page = page;
      this.focused = 0;
      this.draw();
      remember();
      this.mount.scrollIntoView({ block: "start" });
      this.list.children[0].focus({ preventScroll: true });
    }

    move(by) {
      const inside = this.list.contains(document.activeElement);
      const place = inside ? this.focused + by : this.focused;
      if (place >= this.shown.length) { this.turn(1); return; }
      if (place < 0) return;
      this.focused = place;
      const element = this.list.children[place];
      element.focus({ preventScroll: true });
      element.scrollIntoView({ block: "nearest" });
    }

    moveInside(by) {
      const card = this.list.children[this.focused];
      if (!card || !card.contains(document.activeElement)) return;
      const parts = [...card.querySelectorAll(".member")];
      const now = parts.indexOf(document.activeElement.closest(".member"));
      const next = parts[Math.min(parts.length - 1, Math.max(0, now < 0 ? (by > 0 ? 0 : parts.length - 1) : now + by))];
      if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "nearest", inline: "nearest" }); }
    }

    /* All pairs of what is found, from the one that was asked for on; a judgement there is one here. */
    lookClosely(element) {
      const root = element.closest(".card");
      const card = root && root.card;
      if (!card) return;
      const [pairs, first] = [[], this.found.indexOf(card)];
      for (const each of [...this.found.slice(first), ...this.found.slice(0, first)]) {
        pairs.push(...this.kind.close(each));
        if (pairs.length > MOST_CLOSE) break;
      }
      const own = this.kind.close(card).length;
      if (!own) return;
      const part = element.closest(".member");
      const place = part ? [...root.querySelectorAll(".member")].indexOf(part) - 1 : 0;
      const judging = setup.judged && this.kind.judgedPairs ? {
        judgementOf: (pair) => judgementOf(pair.a, pair.b), judge: (pair, verdict) => judge([[pair.a, pair.b]], verdict), undo,
      } : {};
      openViewer({ pairs, start: Math.min(Math.max(0, place), own - 1), ...judging, closed: ({ card: last }) => {
        $("letters").checked = memory.get("batchsearch.letters") !== "off";
        this.page = Math.floor(Math.max(0, this.found.indexOf(last)) / this.perPage);
        this.draw();
        const there = [...this.list.children].find((each) => each.card === last);
        if (there) there.focus();
      } });
    }

    judgeFocused(judgement) {
      const element = this.list.children[this.focused];
      if (!setup.judged || !this.kind.judgedPairs || !element || !element.contains(document.activeElement)) return;
      const part = document.activeElement.closest("[data-place]");
      const pairs = this.kind.judgedPairs(element.card);
      const chosen = part ? pairs.slice(Number(part.dataset.place) - 1, Number(part.dataset.place)) : pairs;
      if (part && part.dataset.place === "0") return;
      // A whole cluster at once: what somebody has judged one by one stays.
      const touched = part || judgement === null ? chosen : chosen.filter(([a, b]) => judgementOf(a, b) === null);
      if (touched.length) judge(touched, judgement);
      this.redraw(element.card);
    }
  }

  /* ---- a chart whose ranges choose what is shown: a click is a bar, a drag several ---- */
  class Picker {
    constructor(svg, gallery) {
      this.gallery = gallery;
      const number = (name) => Number(svg.dataset[name]);
      [this.bins, this.low, this.high, this.left, this.right] = ["bins", "low", "high", "left", "right"].map(number);
      this.chosen = s("rect", { class: "chosen", y: number("top"), height: number("bottom") - number("top"), x: 0, width: 0 });
      svg.prepend(this.chosen);
      svg.classList.add("picks");
      let from = null;
      const binAt = (event) => {
        const box = svg.getBoundingClientRect();
        const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
        return Math.min(this.bins - 1, Math.max(0, Math.floor(((x - this.left) / (this.right - this.left)) * this.bins)));
      };
      const ends = (one, other) => [this.edge(Math.min(one, other)), this.edge(Math.max(one, other) + 1)];
      svg.addEventListener("pointerdown", (event) => { if (event.button === 0) { from = binAt(event); svg.setPointerCapture(event.pointerId); } });
      svg.addEventListener("pointermove", (event) => { if (from !== null) this.mark(...ends(from, binAt(event))); });
      svg.addEventListener("pointercancel", () => { from = null; });
      svg.addEventListener("pointerup", (event) => {
        if (from === null || !gallery.isUsable) return;
        const [low, high] = ends(from, binAt(event));
        from = null;
        const last = high >= this.high ? this.high : high - 0.0001;
        const chosen = [low, last].map((value) => String(Number(value.toFixed(4))));
        // The same bar once more shows everything again.
        if (gallery.low.value === chosen[0] && gallery.high.value === chosen[1]) gallery.range("", "");
        else gallery.range(...chosen);
      });
    }

    edge(bin) { return Number((this.low + ((this.high - this.low) * bin) / this.bins).toFixed(6)); }

    mark(low, high) {
      const at = (value) => this.left + ((Math.min(this.high, Math.max(this.low, value)) - this.low) / (this.high - this.low)) * (this.right - this.left);
      const [from, to] = low === null && high === null ? [0, 0] : [at(low ?? this.low), at(high ?? this.high)];
      this.chosen.setAttribute("x", String(from));
      this.chosen.setAttribute("width", String(Math.max(0, to - from)));
    }
  }

  /* ---- the page ---- */
  const galleries = [...document.querySelectorAll(".gallery")].map((root) => new Gallery(root));
  let current = galleries[0];
  const redrawAll = () => galleries.filter((each) => each.isUsable).forEach((each) => each.apply());
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  const select = (place, focus) => {
    tabs.forEach((tab, number) => {
      tab.setAttribute("aria-selected", String(number === place));
      tab.tabIndex = number === place ? 0 : -1;
      galleries[number].root.hidden = number !== place;
    });
    current = galleries[place];
    if (current.isUsable) current.apply();
    current.start();
    if (focus) tabs[place].focus();
  };
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => { select(place, false); remember(); });
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) { event.preventDefault(); select((place + by + tabs.length) % tabs.length, true); remember(); }
    });
  });

  /* What is shown stands in the address: it can be sent, kept, and gone back to. */
  const remember = () => {
    if (!current || !current.isUsable) return;
    try { history.replaceState(null, "", `#${current.state()}`); } catch { /* a page that has no address of its own */ }
  };
  const goTo = (hash, { scroll }) => {
    const wanted = new URLSearchParams(hash.slice(1));
    const place = galleries.findIndex((each) => each.name === wanted.get("view"));
    if (place < 0) {
      let target = null;
      try { target = hash.length > 1 ? $(decodeURIComponent(hash.slice(1))) : null; } catch { /* no name of a place */ }
      for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
      if (target && scroll) target.scrollIntoView();
      return;
    }
    select(place, false);
    if (!current.isUsable) return;
    current.set(wanted);
    current.apply();
    if (!scroll) return;
    $("browse").scrollIntoView();
    $("browse-title").focus({ preventScroll: true });
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#"]');
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || link.classList.contains("skip")) return;
    event.preventDefault();
    const hash = link.getAttribute("href");
    try { history.pushState(null, "", hash); } catch { /* likewise */ }
    goTo(hash, { scroll: true });
  });
  window.addEventListener("popstate", () => goTo(location.hash, { scroll: true }));

  /* On paper everything is open, but what a gallery shows on other pages. */
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open], .inner, .numbers, .folded)")];
    for (const each of opened) each.open = true;
  });
  window.addEventListener("afterprint", () => { for (const each of opened.splice(0)) each.open = false; });

  const themeButton = document.getElementById("theme-button");
  const THEMES = ["system", "light", "dark"];
  let theme = memory.get("batchsearch.theme");
  if (!THEMES.includes(theme)) theme = "system";
  const wear = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    themeButton.textContent = `Theme: ${theme}`;
  };
  const nextTheme = () => { theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]; memory.set("batchsearch.theme", theme); wear(); };
  themeButton.addEventListener("click", nextTheme);
  wear();

  const help = document.getElementById("help");
  const letters = $("letters");
  // Also changed in the close look; where nothing is remembered, what is ticked here holds.
  const lettersAct = () => { const said = memory.get("batchsearch.letters"); return said ? said !== "off" : letters.checked; };
  letters.checked = memory.get("batchsearch.letters") !== "off";
  letters.addEventListener("change", () => memory.set("batchsearch.letters", letters.checked ? "on" : "off"));
  document.getElementById("help-button").addEventListener("click", () => help.showModal());
  document.getElementById("help-close").addEventListener("click", () => help.close());

  if (setup.judged) {
    accept(read("followed") || []);
    for (const [name, said] of judged) followed.set(name, said);
    if (setup.live) for (const [name, said] of judged) written.set(name, said);
    if (!setup.live) {
      try { accept(JSON.parse(memory.get(memoryName) || "[]")); } catch { /* what was kept is not readable: begin anew */ }
    }
    if (setup.live) {
      // What another window has judged meanwhile is here when somebody comes back to this one.
      addEventListener("focus", async () => {
        try {
          const answer = await fetch(setup.live[0].replace(/judge$/, "judgements"));
          accept(await answer.json());
          for (const [name, said] of judged) if (!written.has(name)) written.set(name, said);
          tell(true);
          redrawAll();
        } catch { /* told at the next judgement */ }
      });
    }
    tell(true);
    document.getElementById("export-button").addEventListener("click", exportJudgements);
    const file = document.getElementById("import-file");
    document.getElementById("import-button").addEventListener("click", () => file.click());
    file.addEventListener("change", async () => {
      if (!file.files.length) return;
      const taken = accept(csvRows(await file.files[0].text()));
      file.value = "";
      keep();
      if (!taken) document.getElementById("judged-count").textContent = "No judgement was found in that file.";
      redrawAll();
    });
  }

  const KEYS = {
    j: () => current.move(1), k: () => current.move(-1),
    ArrowRight: () => current.moveInside(1), ArrowLeft: () => current.moveInside(-1),
    n: () => current.turn(1), p: () => current.turn(-1),
    s: () => current.judgeFocused("same"), d: () => current.judgeFocused("different"), u: () => current.judgeFocused(null),
    z: () => { undo(); redrawAll(); },
    "/": () => { current.text.focus(); current.text.select(); },
    r: () => current.regions.click(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.matches("input, select, textarea");
    if (typing) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.target.matches('[role="tab"], [role="region"]') && event.key.startsWith("Arrow")) return;
    if (event.key === "Enter") {
      if (current && current.isUsable && event.target.matches(".card, .member")) { event.preventDefault(); current.lookClosely(event.target); }
      return;
    }
    if (event.key.length === 1 && !lettersAct()) return;
    if (event.key === "?") { event.preventDefault(); help.showModal(); return; }
    if (event.key === "t") { nextTheme(); return; }
    if (event.key === "e" && setup.judged) { exportJudgements(); return; }
    const act = KEYS[event.key];
    if (act && current && current.isUsable) { event.preventDefault(); act(); }
  });
  if (matchMedia("(max-width: 700px)").matches) for (const each of document.querySelectorAll(".gallery-chart")) each.open = false;
  if (current) current.start();
  if (location.hash.length > 1) goTo(location.hash, { scroll: true });
})();
