// What the metadata says of columns, by any of their names, and how it changes.

import { count } from "./charts.js";
import { entry } from "./dom.js";

const MOST_LEFT_OUT = 30; // Named one by one.

const namesOf = ({ key, name }) => [key, name];
const isNamed = (column, names) => namesOf(column).some((name) => names.includes(name));
const without = (column, names) => names.filter((name) => !namesOf(column).includes(name));

export function chosenType({ attributes }, { key, name }) {
  return entry(attributes, key) ?? entry(attributes, name);
}

export function roleOf(metadata, column) {
  if (isNamed(column, metadata.def_tar_att)) return "target";
  if (isNamed(column, metadata.ignore_attribute)) return "ignore";
  return isNamed(column, [metadata.row_id_attribute]) ? "id" : "";
}

/** What is given, as [what it is, of which column, the changes that take it back]. */
export function givenOf({ def_tar_att: targets, ignore_attribute: ignored, row_id_attribute: rowId, rename = {}, leave_out: leftOut = [] }) {
  return [
    ...targets.map((name) => ["Target", name, { def_tar_att: targets.filter((one) => one !== name) }]),
    ...ignored.map((name) => ["Ignored", name, { ignore_attribute: ignored.filter((one) => one !== name) }]),
    ...(rowId ? [["Row number", rowId, { row_id_attribute: "" }]] : []),
    ...Object.entries(rename).map(([name, now]) => ["Renamed", `${name} to ${now}`, { rename: { [name]: null } }]),
    ...(leftOut.length > 1 ? [["Left out", `all ${count(leftOut.length)}`, { leave_out: [] }]] : []),
    ...leftOut.slice(0, MOST_LEFT_OUT).map((name) => ["Left out", name, { leave_out: leftOut.filter((one) => one !== name) }]),
  ];
}

/** The changes that give a column a role, in place of the one that it has. */
export function withRole({ def_tar_att, ignore_attribute, row_id_attribute: id }, column, role) {
  const targets = without(column, def_tar_att);
  const ignored = without(column, ignore_attribute);
  if (role === "target") targets.push(column.key);
  if (role === "ignore") ignored.push(column.key);
  const rowId = isNamed(column, [id]) ? "" : id;
  return { def_tar_att: targets, ignore_attribute: ignored, row_id_attribute: role === "id" ? column.key : rowId };
}

/** The changes that leave columns out, which then have no role. */
export function withoutColumns({ def_tar_att, row_id_attribute: id, leave_out: leftOut = [] }, columns) {
  const names = new Set(columns.flatMap(namesOf));
  return {
    def_tar_att: def_tar_att.filter((name) => !names.has(name)),
    row_id_attribute: names.has(id) ? "" : id,
    leave_out: [...new Set([...leftOut, ...columns.map(({ key }) => key)])],
  };
}
