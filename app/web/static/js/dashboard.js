// The charts of a dataset, of statistics that the service computes of its file. The frontend shows this page in a frame.

import { call } from "./api.js";
import { commonest, count, histogram, number } from "./charts.js";
import { boxPlot, classKey, coefficient, heatMap, missingMap, scatter, stacked, table } from "./dataset-charts.js";
import { byId, make } from "./dom.js";
import { inWords } from "./failures.js";
import { framed } from "./session.js";

const TRIES = 150;
const PAUSE = 2000;
const PAGE = 30;
const POINTS = 1000;
const ARE_NUMBERS = ["numeric", "integer", "real"];
const id = byId("dataset").dataset.id;
const path = `/datasets/${id}`;
let about = null;

start();

async function start() {
  byId("loading").textContent = "The dataset's file is being looked at …";
  try {
    const found = await statistics(0);
    if (!found) {
      tell("The dataset's file is large, and is still being looked at. Open this page again in some minutes.");
      return;
    }
    about = found.table;
    document.title = `Charts of ${found.name} - OpenML`;
    document.querySelector("h1").textContent = `Charts of ${found.name}`;
    byId("loading").hidden = true;
    showTable();
    showColumns(found.columns);
    showRelations();
    byId("page").hidden = false;
  } catch (problem) {
    tell(inWords(problem));
  }
}

const tell = (text) => byId("loading").replaceChildren(make("span", { class: "note warn" }, text));
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));

/** A page of columns; null where they are not computed after five minutes. */
async function statistics(offset) {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const found = await call("GET", `${path}/statistics?offset=${offset}&limit=${PAGE}`);
    if (found.state !== "computing") return found;
    await pause();
  }
  return null;
}

function showTable() {
  byId("links").hidden = framed; // The frontend's frame stands on the dataset's page, and lets nothing be saved.
  const cells = about.rows * about.columns;
  const facts = [
    ["Rows", count(about.rows)],
    ["Columns", count(about.columns)],
    ["Missing cells", `${count(about.missing)}${cells ? ` (${((100 * about.missing) / cells).toFixed(1)} %)` : ""}`],
    ["Target", about.target ?? "none"],
  ];
  byId("facts").replaceChildren(...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  byId("exact").textContent = about.is_exact
    ? "All figures of columns are exact."
    : `Counts, means and histograms are exact; quantiles and the commonest values are of a sample of ${count(about.sample_rows)} rows.`;
  if (about.classes.length) byId("classes").replaceChildren("Colours in the charts by class: ", classKey(about.classes));
}

const drawn = [];

function showColumns(columns) {
  drawn.push(...columns);
  byId("columns").append(...columns.map(columnEntry));
  byId("more").hidden = drawn.length >= about.columns;
  byId("shown").textContent = `${count(drawn.length)} of ${count(about.columns)} columns`;
  showMissing();
  offerScatter();
}

byId("more").addEventListener("click", async () => {
  const first = drawn.length;
  try {
    showColumns((await statistics(first)).columns);
    byId(`column-${first}`).focus();
  } catch (problem) {
    byId("shown").textContent = inWords(problem);
  }
});

function columnEntry(column) {
  const facts = [
    column.missing ? `${count(column.missing)} missing` : "none missing",
    `${column.distinct_is_exact ? "" : "at least "}${count(column.distinct)} different values`,
  ];
  return make(
    "li",
    { class: "card" },
    make("div", { class: "title" }, make("h3", { id: `column-${column.index}`, tabindex: -1 }, column.name), make("span", { class: "badge" }, column.kind)),
    make("p", { class: "small soft" }, facts.join(" · ")),
    make("div", { class: "charts" }, ...pictures(column)),
    make("details", {}, make("summary", {}, "Figures", make("span", { class: "visually-hidden" }, ` of ${column.name}`)), ...figures(column)),
  );
}

function pictures(column) {
  if (!column.count) return [make("p", { class: "soft" }, "No cell is stated.")];
  const labels = column.by_class && Object.entries(column.by_class);
  if (column.quantiles) {
    return [
      column.histogram && (labels ? stacked(column.name, labels, column.histogram.edges.slice(0, -1).map(number), [column.min, column.max].map(number)) : histogram(column)),
      withFigures(boxPlot(column), column),
    ].filter(Boolean);
  }
  const repeats = column.commonest.some((each) => each.count > 1);
  return [
    repeats ? commonest(column.commonest.slice(0, 10), column.commonest_is_exact ? about.rows : about.sample_rows) : make("p", { class: "examples" }, "No value occurs twice."),
    repeats && labels && stacked(column.name, labels, column.commonest.map((each) => each.value)),
  ].filter(Boolean);
}

/** A box plot, and what it shows as figures. */
function withFigures(plot, { quantiles }) {
  if (!plot) return null;
  const [low, middle, high] = ["0.25", "0.5", "0.75"].map((share) => number(quantiles[share]));
  return make("div", {}, plot, make("p", { class: "small soft" }, `Median ${middle}; the middle half from ${low} to ${high}.`));
}

function figures(column) {
  const tables = [];
  if (column.quantiles) {
    const rows = [
      ["Least", column.min],
      ...Object.entries(column.quantiles).map(([share, value]) => [`Quantile ${share}`, value]),
      ["Greatest", column.max],
      ["Mean", column.mean],
      ["Standard deviation", column.standard_deviation],
    ];
    tables.push(table(`Figures of ${column.name}`, ["Figure", "Value"], rows.map(([name, value]) => [name, number(value)])));
  }
  if (column.lengths) {
    tables.push(table(`Lengths of ${column.name}`, ["Shortest", "Longest", "Mean"], [[column.lengths.min, column.lengths.max, column.lengths.mean].map(number)]));
  }
  const classes = Object.entries(column.by_class ?? {});
  const heads = classes.map(([label]) => label);
  if (column.histogram) {
    const { edges, counts } = column.histogram;
    const rows = counts.map((each, at) => [number(edges[at]), number(edges[at + 1]), count(each), ...classes.map(([, bins]) => count(bins[at]))]);
    tables.push(table(`Histogram of ${column.name}`, ["From", "To", "Count", ...heads], rows));
  } else if (column.commonest.length) {
    const rows = column.commonest.map((each, at) => [String(each.value), count(each.count), ...classes.map(([, counts]) => count(counts[at]))]);
    tables.push(table(`Commonest values of ${column.name}`, ["Value", "Count", ...heads], rows));
  }
  return tables;
}

function showRelations() {
  const { columns, values, left_out: others } = about.correlations;
  if (columns.length > 1) {
    const rows = values.map((row, at) => [columns[at], ...row.map((value) => (value === null ? "" : coefficient(value)))]);
    byId("heat").replaceChildren(heatMap(columns, values), make("details", {}, make("summary", {}, "Figures of the correlations"), table("Coefficients of correlation", ["", ...columns], rows.map((row) => [...row, ...Array(columns.length + 1 - row.length).fill("")]))));
    byId("others").textContent = others ? `The first ${columns.length} columns of numbers; ${count(others)} more are left out.` : "";
    byId("correlations").hidden = false;
  }
  if (about.associations?.columns.length) {
    const rows = about.associations.columns.slice(0, 30).map((each) => [each.name, each.measure.replaceAll("_", " "), each.value.toFixed(3)]);
    byId("association-table").replaceChildren(table(`How far columns and ${about.associations.target} go together, from 0 to 1`, ["Column", "Measure", "Value"], rows));
    byId("associations").hidden = false;
  }
}

function showMissing() {
  const some = drawn.filter((column) => column.missing).slice(0, 50);
  if (!some.length) return;
  byId("missing-map").replaceChildren(missingMap(some), table("Missing cells by column", ["Column", "Missing", "Share"], some.map((each) => [each.name, count(each.missing), `${((100 * each.missing) / about.rows).toFixed(1)} %`])));
  byId("missing").hidden = false;
}

function offerScatter() {
  const names = drawn.filter((column) => ARE_NUMBERS.includes(column.kind) && column.count).map((column) => column.name);
  if (names.length < 2) return;
  for (const [place, at] of [["across", 0], ["up", 1]]) {
    const chosen = byId(place).value || names[at];
    byId(place).replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
  }
  byId("scatter").hidden = false;
}

byId("draw").addEventListener("click", async () => {
  const [across, up] = [byId("across").value, byId("up").value];
  const names = [...new Set([across, up, ...(about.classes.length ? [about.target] : [])])];
  const query = new URLSearchParams([["limit", POINTS], ...names.map((name) => ["columns", name])]);
  const [first, second, target] = [across, up, about.target].map((name) => names.indexOf(name));
  try {
    const { cells } = await call("GET", `${path}/rows?${query}`);
    const points = cells.map((row) => [row[first], row[second], row[target]]).filter(([x, y]) => x !== null && y !== null);
    const rows = points.slice(0, 100).map(([x, y]) => [number(x), number(y)]);
    byId("points").replaceChildren(scatter(across, up, points, about.classes), make("details", {}, make("summary", {}, "Figures of the scatter plot"), table(`${across} and ${up}`, [across, up], rows)));
    byId("scatter-note").textContent = about.rows > POINTS ? `The first ${count(POINTS)} rows.` : "All rows.";
  } catch (problem) {
    byId("scatter-note").textContent = inWords(problem);
  }
});
