// Texts of the scripts, from the one table of all texts: the server makes this module of it.
import table from "./texts.js";

// A text by its key, with its {fields} filled; where it has two forms, `n` says which.
export const worded = (key, fields = {}) => {
  const found = table[key];
  const text = typeof found === "string" ? found : found[Number(fields.n) === 1 ? "one" : "many"];
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? String(fields[name]) : whole));
};
