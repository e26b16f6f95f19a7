import assert from "node:assert/strict";
import { test } from "node:test";
import { completionsAt, fromRows, quoted } from "../../../batchsearch/console/assets/filter.js";

const at = (text, values) => completionsAt(text, text.length, values);

test("an expression begins with a field or a parenthesis", () => {
  assert.equal(at("").options.length, 9);
  assert.deepEqual(at("str").options, ["str_attr", "str_attr2", "str_attr3", "str_attr4"]);
  assert.deepEqual(at("int_attr > 1 AND int").options.slice(0, 1), ["int_attr"]);
});

test("a field is followed by the operators of its type, and they by known values", () => {
  assert.deepEqual(at("int_attr ").options, [">", ">=", "<", "<=", "=", "in", "not in"]);
  assert.deepEqual(at("str_attr ").options, ["=", "!=", "in", "not in"]);
  const values = { str_attr: ['re"d', "blue"], int_attr: ["7", "70"] };
  assert.deepEqual(at("str_attr = ", values).options, ['"re\\"d"', '"blue"']);
  assert.deepEqual(at('str_attr = "b', values), { start: 11, options: ['"blue"'] });
  assert.deepEqual(at("int_attr in (7", values).options, ["70"]);
  assert.deepEqual(at('str_attr = "blue" ').options, ["AND", "OR", ")"]);
});

test("rows become a filter with its texts quoted", () => {
  const rows = [
    { field: "int_attr", operator: ">=", value: " 5 ", join: "AND" },
    { field: "str_attr", operator: "in", value: 'a,b"c', join: "OR" },
    { field: "str_attr2", operator: "=", value: "", join: "AND" },
  ];
  assert.equal(fromRows(rows), 'int_attr >= 5 OR str_attr in ("a","b\\"c")');
  assert.equal(quoted("a\\b"), '"a\\\\b"');
});
