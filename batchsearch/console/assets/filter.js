// Completion of a filter, pure: what may come where somebody types, from what stands before.
export const INT_FIELDS = ["int_attr", "int_attr2", "int_attr3", "int_attr4"];
export const STR_FIELDS = ["str_attr", "str_attr2", "str_attr3", "str_attr4"];
export const OPERATORS = { int: [">", ">=", "<", "<=", "=", "in", "not in"], str: ["=", "!=", "in", "not in"] };
const FIELDS = [...INT_FIELDS, ...STR_FIELDS];
const TOKEN = /"(?:[^"\\]|\\.)*"?|>=|<=|!=|[<>=(),]|[A-Za-z_][A-Za-z0-9_]*|-?\d+|\S/g;

export const quoted = (text) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

export const tokens = (text) => text.match(TOKEN) || [];

// {start, options}: from where the options replace what is typed.
export const completionsAt = (text, caret, values = {}) => {
  const before = text.slice(0, caret);
  const seen = tokens(before);
  const end = seen.at(-1) || "";
  // A word, a number or a text without its closing quote, right before the caret, goes on.
  const goesOn = before.endsWith(end) && (/^(-?\d+|[A-Za-z_][A-Za-z0-9_]*)$/.test(end) || /^"(?:[^"\\]|\\.)*$/.test(end));
  const typed = end && goesOn ? seen.pop() : "";
  const start = caret - typed.length;
  const last = (seen.at(-1) || "").toLowerCase();
  const field = [...seen].reverse().find((token) => FIELDS.includes(token));
  const of = (options) => ({ start, options: options.filter((each) => each.toLowerCase().startsWith(typed.toLowerCase()) && each !== typed) });
  const known = (values[field] || []).map((value) => (INT_FIELDS.includes(field) ? value : quoted(value)));
  if (!seen.length || ["and", "or"].includes(last) || (last === "(" && !["in"].includes((seen.at(-2) || "").toLowerCase()))) return of([...FIELDS, "("]);
  if (FIELDS.includes(last)) return of(OPERATORS[INT_FIELDS.includes(last) ? "int" : "str"]);
  if (last === "not") return of(["in"]);
  if (last === "in") return of(["("]);
  if ([">", ">=", "<", "<=", "=", "!=", "(", ","].includes(last)) return of(known);
  return of(["AND", "OR", ")"]);
};

// A filter from rows {field, operator, value, join}.
export const fromRows = (rows) => rows.filter((row) => row.value !== "").map((row, place) => {
  const number = INT_FIELDS.includes(row.field);
  const written = (value) => (number ? value.trim() : quoted(value.trim()));
  const value = row.operator.endsWith("in") ? `(${row.value.split(",").map(written).join(",")})` : written(row.value);
  return `${place ? `${row.join || "AND"} ` : ""}${row.field} ${row.operator} ${value}`;
}).join(" ");
