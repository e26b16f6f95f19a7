import { worded } from "./worded.js";

// What can be done with an answer that is here already: no call.
const cells = (row) => [...row.cells].filter((cell) => !cell.hidden).map((cell) => cell.textContent.trim());
const csvCell = (text) => {
  // A spreadsheet would run what begins like a formula.
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

export const tableText = (table, kind) => {
  const rows = [...table.tHead.rows, ...table.tBodies[0].rows].filter((row) => !row.hidden).map(cells);
  const tab = kind === "tsv";
  return rows.map((row) => row.map((cell) => (tab ? cell.replace(/[\t\r\n]+/g, " ") : csvCell(cell))).join(tab ? "\t" : ",")).join("\r\n");
};

const sortable = (table) => {
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[place].textContent.trim();
      const compare = (a, b) => (value(a) !== "" && value(b) !== "" && !Number.isNaN(Number(value(a))) && !Number.isNaN(Number(value(b))) ? Number(value(a)) - Number(value(b)) : value(a).localeCompare(value(b)));
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => (down ? compare(b, a) : compare(a, b))));
    });
  });
};

const choosable = (table, place) => {
  const menu = document.createElement("details");
  menu.className = "columns-menu";
  const [title, list] = [document.createElement("summary"), document.createElement("div")];
  title.textContent = worded("columns");
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const [label, box] = [document.createElement("label"), document.createElement("input")];
    label.className = "check";
    [box.type, box.checked] = ["checkbox", true];
    box.addEventListener("change", () => { for (const row of table.rows) row.cells[column].hidden = !box.checked; });
    label.append(box, ` ${head.textContent.trim()}`);
    list.append(label);
  });
  menu.append(title, list);
  place.prepend(menu);
};

export const enliven = (root, copy) => {
  const [cards, view, table] = ["cards", "table-view", "table"].map((id) => root.querySelector(`#${id}`));
  if (!cards || !table) return;
  choosable(table, view);
  sortable(table);
  const buttons = [...root.querySelectorAll("[data-view]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const wide = button.dataset.view === "table";
      cards.classList.toggle("hidden", wide);
      view.classList.toggle("shown", wide);
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
    });
  }
  const slider = root.querySelector("#hide-below");
  slider.addEventListener("input", () => {
    root.querySelector("#hide-below-said").textContent = Number(slider.value).toFixed(2);
    for (const each of root.querySelectorAll("[data-score]")) each.hidden = each.dataset.score !== "" && Number(each.dataset.score) < Number(slider.value);
  });
  for (const button of root.querySelectorAll("[data-table]")) button.addEventListener("click", () => copy(tableText(table, button.dataset.table), button));
};
