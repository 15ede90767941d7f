// How a file is read: what was found and how sure, what is in doubt, and a control for each field to choose otherwise.

import { attempt } from "./failures.js";
import { entry, make } from "./dom.js";

const SIGNS = { "": "none", " ": "blanks", "\t": "tab", ",": "comma ,", ";": "semicolon ;", "|": "bar |", ":": "colon :", ".": "point .", "'": "apostrophe '", '"': 'double quote "', "\u00a0": "no-break space", "\u202f": "narrow no-break space", "\u2019": "apostrophe \u2019", _: "underscore _" };
const YES_NO = { true: "yes", false: "no" };
const ENCODINGS = ["utf-8", "utf-16", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "iso8859-1", "iso8859-2", "iso8859-15", "koi8-r", "mac-roman", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"];

/** Each field: its name for people, the values that are offered, and what they are called. */
const FIELDS = {
  format: { label: "Format" },
  sheet: { label: "Sheet" },
  member: { label: "File in the archive" },
  array: { label: "Where the rows are" },
  orient: { label: "Layout", values: ["records", "columns", "index", "split", "table", "values"] },
  encoding: { label: "Encoding of the text", values: ENCODINGS },
  delimiter: { label: "Between cells", values: [",", ";", "\t", "|", ":", " ", ""], words: { ...SIGNS, "": "nothing: one column" } },
  quote: { label: "Around quoted cells", values: ['"', "'", ""], words: SIGNS },
  escape: { label: "A quote inside quotes", values: ["double", "backslash"], words: { double: 'written twice ""', backslash: 'after a backslash \\"' } },
  header: { label: "The first row has the names", values: [true, false], words: YES_NO },
  skip_lines: { label: "Lines before the table", type: "number" },
  comment: { label: "Sign of comment lines", values: ["", "#", "%"], words: SIGNS },
  decimal: { label: "Decimal mark", values: [".", ","], words: SIGNS },
  thousands: { label: "Mark between thousands", values: ["", ",", ".", "'", " ", "\u00a0"], words: SIGNS },
  missing: { label: "Words that mean a missing value", type: "words" },
  quoted_missing: { label: "… in quotes as well", values: [true, false], words: YES_NO },
  row_names: { label: "The names of the rows", values: ["keep", "leave-out"], words: { keep: "are a column", "leave-out": "are left out" } },
};
const ANSWERS = {
  header: { true: "The first row has the columns’ names", false: "The first row is data" },
  row_names: { keep: "Keep the names of the rows as a column", "leave-out": "Leave them out" },
};

const LABELS = { attributes: "Type of the column", leave_out: "Columns to leave out" };

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const labelOf = (field) => entry(FIELDS, field)?.label ?? entry(LABELS, field) ?? field;
const said = (field, value) => (Array.isArray(value) ? value.join(", ") || "none" : (entry(FIELDS[field]?.words ?? {}, String(value)) ?? String(value)));

/** Whether these choices are others than those of which a preview is. */
export function isOther(reading, chosen) {
  return Object.entries(wayBack(reading, chosen)).some(([field, value]) => !same(value, entry(chosen, field) ?? null));
}

/** The choices that lead back to how the file was read for a preview. */
export function wayBack(reading, chosen) {
  const former = Object.entries(reading).map(([field, { value, by }]) => [field, by === "owner" ? value : null]);
  return { ...Object.fromEntries(Object.keys(chosen).map((field) => [field, null])), ...Object.fromEntries(former) };
}

const FORMATS = ["csv", "json", "jsonl", "arff", "svmlight", "workbook", "parquet", "feather"];
const OF_TEXT = ["encoding", "delimiter", "quote", "escape", "header", "skip_lines", "comment", "decimal"];
const UNREAD = { csv: OF_TEXT, tsv: OF_TEXT, zip: OF_TEXT, json: ["orient", "header"], workbook: ["skip_lines", "header"] };

/** The fields of a file of which no table could be made, by its format. */
export const unread = (format) =>
  Object.fromEntries(["format", ...(entry(UNREAD, format) ?? [])].map((field) => [field, { value: null, considered: field === "format" ? FORMATS : [], sure: true }]));

/** Ask what is not sure, with a button for each answer, which `on` saves. */
export function showDoubts(place, doubts, on) {
  place.replaceChildren(
    ...doubts.map(({ field, message, choices, column }, index) => {
      const id = `doubt-${index}`;
      const others = { attributes: (value) => on.type(column, value), leave_out: on.leaveOut };
      const answer = entry(others, field) ?? ((value) => on.reading({ [field]: value }));
      const buttons = choices.map((value) =>
        make("button", { type: "button", onclick: () => attempt(place, () => answer(value)) }, answerOf(field, value)),
      );
      return make("div", { class: "note warn", role: "group", "aria-labelledby": id }, make("p", { id }, message || `What would do: ${labelOf(field)}`), make("div", { class: "actions" }, ...buttons));
    }),
  );
  place.hidden = !doubts.length;
}

function answerOf(field, value) {
  if (field === "leave_out") return `Leave out ${value}`;
  return entry(ANSWERS[field] ?? {}, String(value)) ?? (field === "attributes" ? `It is ${typeof value === "string" ? value : "a category"}` : `${labelOf(field)}: ${said(field, value)}`);
}

/** Show a control for each field that applies; `save(choices)` takes a choice, with null for what is found. */
export function showReading(place, reading, chosen, save) {
  const fields = Object.keys(FIELDS).filter((field) => field in reading || field in chosen);
  place.replaceChildren(...fields.map((field) => control(field, entry(reading, field) ?? { value: chosen[field], by: "owner", considered: [], why: "", sure: true }, entry(chosen, field), save)));
  return fields.length > 0;
}

function control(field, found, choice, save) {
  const id = `reading-${field}`;
  const { label, type } = FIELDS[field];
  const isChosen = choice !== undefined;
  const input = type ? typed(id, type, isChosen ? choice : found.value) : select(id, field, found, choice);
  const take = () => (type ? readTyped(type, input) : input.value === "" ? null : JSON.parse(input.value));
  input.setAttribute("aria-describedby", `${id}-why`);
  input.addEventListener("change", () =>
    attempt(input, async () => {
      if (input.checkValidity()) await save({ [field]: take() }, `${label}: ${take() === null ? "as found" : said(field, take())}`);
    }),
  );
  const sure = isChosen ? "You have chosen this." : found.sure ? (found.why ?? "") : `Not sure. ${found.why}`;
  const offered = type === "number" ? [found.value, ...found.considered].filter((value) => value !== null && value !== Number(input.value)) : [];
  const offers = offered.map((value) => make("button", { type: "button", class: "chip", onclick: () => attempt(input, () => save({ [field]: value }, `${label}: ${value}`)) }, String(value), make("span", { class: "visually-hidden" }, ` ${label}`)));
  const back = type && isChosen && make("button", { type: "button", class: "chip", onclick: () => attempt(input, () => save({ [field]: null }, `${label}: as found`)) }, "As found", make("span", { class: "visually-hidden" }, ` ${label}`));
  return make("div", { class: "field" }, make("label", { for: id }, label), input, make("p", { class: "hint", id: `${id}-why` }, sure), ...offers, back);
}

function select(id, field, found, choice) {
  const isFound = found.by !== "owner";
  const values = [...(FIELDS[field].values ?? []), found.value, ...found.considered, ...(choice === undefined ? [] : [choice])].filter((value) => value !== null && value !== undefined);
  const once = values.filter((value, at) => values.findIndex((other) => same(other, value)) === at);
  const text = isFound && found.value !== null ? `as found: ${said(field, found.value)}` : "as found";
  return make("select", { id }, new Option(text, "", false, choice === undefined), ...once.map((value) => new Option(said(field, value), JSON.stringify(value), false, same(value, choice))));
}

function typed(id, type, value) {
  if (type === "number") return make("input", { id, type: "number", min: 0, max: 1000000, step: 1, required: true, value: String(value ?? 0) });
  return make("input", { id, autocomplete: "off", value: (value ?? []).join(", ") });
}

function readTyped(type, input) {
  if (type === "number") return Number(input.value);
  return input.value.split(",").map((word) => word.trim()).filter(Boolean);
}

