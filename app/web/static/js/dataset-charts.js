// Charts of a whole dataset: SVG without style or script. What they show stands in a table beside each.

import { count, number, shape } from "./charts.js";
import { make } from "./dom.js";

const WIDTH = 240;
const TALL = 90;
const CELL = 18;
const LARGE_CELL = 36; // With the figure in it.
const MOST_LARGE = 12;
const STRONG = 0.6; // From here on a figure stands in the colour of what stands on the accent.
const NAME = 120; // Room for a column's name.
const MAP = matchMedia("(max-width: 30rem)").matches ? 150 : 360; // What is shrunk to a phone cannot be read.

/** A table whose first column names its rows. */
export function table(caption, heads, rows) {
  return make(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    make(
      "table",
      {},
      make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...heads.map((head) => (head === "" ? make("td", {}) : make("th", { scope: "col" }, head))))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, at) => (at ? make("td", {}, cell) : make("th", { scope: "row" }, cell)))))),
    ),
  );
}

/** Which colour is which class. */
export function classKey(labels) {
  const entries = labels.map((label, at) =>
    make("li", {}, shape("svg", { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" }, shape("rect", { class: `k${at}`, width: 10, height: 10 })), " ", label),
  );
  return make("ul", { class: "key", role: "list" }, ...entries);
}

/**
 * Bars of which each class has its part: `series` is [label, counts] for each class, `places` names the bars,
 * `ends` what stands below the first and the last.
 */
export function stacked(name, series, places, ends = [places[0], places.at(-1)]) {
  const totals = places.map((_, at) => series.reduce((sum, [, counts]) => sum + (counts[at] ?? 0), 0));
  const most = Math.max(...totals, 1);
  const wide = WIDTH / places.length;
  const bars = places.flatMap((_, at) => {
    let ground = TALL;
    return series.map(([, counts], which) => {
      const height = ((counts[at] ?? 0) / most) * TALL;
      ground -= height;
      return shape("rect", { class: `k${which}`, x: at * wide, y: ground, width: Math.max(wide - 1, 0.5), height });
    });
  });
  const axis = [[0, "start", ends[0]], [WIDTH, "end", ends[1]]].map(([x, anchor, end]) => shape("text", { x, y: TALL + 12, "text-anchor": anchor }, short(end)));
  const text = `${name} by class: ${places.length} bars; the tallest is ${count(most)}, at ${places[totals.indexOf(Math.max(...totals))]}.`;
  return shape("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${TALL + 14}`, role: "img", "aria-label": text }, ...bars, ...axis);
}

/** A box from the first quartile to the third, its line at the median, whiskers to the least and the greatest. */
export function boxPlot({ name, min, max, quantiles }) {
  const [low, middle, high] = ["0.25", "0.5", "0.75"].map((share) => quantiles[share]);
  if ([low, middle, high].includes(null) || !Number.isFinite(max - min)) return null;
  const at = (value) => (max > min ? ((value - min) / (max - min)) * (WIDTH - 2) + 1 : WIDTH / 2);
  const text = `Box plot of ${name}: half of the values lie between ${number(low)} and ${number(high)}, the median is ${number(middle)}.`;
  const line = (x1, y1, x2, y2, kind = "whisker") => shape("line", { class: kind, x1, y1, x2, y2 });
  return shape(
    "svg",
    { class: "chart box", viewBox: `0 0 ${WIDTH} 24`, role: "img", "aria-label": text },
    line(at(min), 12, at(max), 12),
    line(at(min), 6, at(min), 18),
    line(at(max), 6, at(max), 18),
    shape("rect", { x: at(low), y: 4, width: Math.max(at(high) - at(low), 1), height: 16 }),
    line(at(middle), 4, at(middle), 20, "median"),
  );
}

/** A coefficient; what is rounded to nothing has no sign. */
export const coefficient = (value) => value.toFixed(2).replace("-0.00", "0.00");

const short = (name) => (name.length > 16 ? `${name.slice(0, 15)}…` : name);
const rowName = (name, at, tall = CELL) => shape("text", { x: NAME - 4, y: at * tall + tall / 2 + 4, "text-anchor": "end" }, short(name));

/** How columns of numbers go together: a square for each pair, stronger where they do more; below, the columns by number. */
export function heatMap(names, values) {
  const isLarge = names.length <= MOST_LARGE;
  const cell = isLarge ? LARGE_CELL : CELL;
  const cells = values.flatMap((row, down) =>
    row.map((value, across) => {
      const said = `${names[down]} and ${names[across]}: ${value === null ? "not known" : coefficient(value)}`;
      const kind = value < 0 ? "against" : "with";
      const amount = Math.abs(value ?? 0);
      const box = { class: kind, x: NAME + across * cell, y: down * cell, width: cell - 1, height: cell - 1, "fill-opacity": amount.toFixed(3) };
      const figure = { class: amount > STRONG ? "strong" : "weak", x: NAME + (across + 0.5) * cell, y: (down + 0.5) * cell + 4, "text-anchor": "middle" };
      return [shape("rect", box, shape("title", {}, said)), isLarge && value !== null && shape("text", figure, coefficient(value))];
    }),
  ).flat().filter(Boolean);
  const numbers = names.map((_, at) => shape("text", { x: NAME + (at + 0.5) * cell, y: names.length * cell + 13, "text-anchor": "middle" }, at + 1));
  const named = names.map((name, at) => rowName(`${at + 1} ${name}`, at, cell));
  const size = names.length * cell;
  const text = `Correlations of ${names.length} columns; blue rises together, red one against the other.`;
  return shape("svg", { class: "chart map", width: NAME + size, viewBox: `0 0 ${NAME + size} ${size + 18}`, role: "img", "aria-label": text }, ...named, ...cells, ...numbers);
}

/** Where cells are missing: a line for each column, from the first row at the left to the last. */
export function missingMap(columns) {
  const wide = MAP / columns[0].missing_in_segments.length;
  const cells = columns.flatMap((column, down) =>
    column.missing_in_segments.map((share, at) => shape("rect", { class: "against", x: NAME + at * wide, y: down * CELL, width: wide, height: CELL - 2, "fill-opacity": share && (0.25 + 0.75 * share).toFixed(3) })),
  );
  const text = `Missing cells of ${columns.length} columns, from the first row to the last.`;
  const box = `0 0 ${NAME + MAP} ${columns.length * CELL}`;
  return shape("svg", { class: "chart map", width: NAME + MAP, viewBox: box, role: "img", "aria-label": text }, ...columns.map(({ name }, at) => rowName(name, at)), ...cells);
}

/** A dot for each row that states both numbers, in the colour of its class if that is one of `labels`. */
export function scatter(across, up, points, labels) {
  const ends = [0, 1].map((at) => [Math.min, Math.max].map((end) => points.reduce((far, point) => end(far, point[at]), points[0]?.[at] ?? 0)));
  const place = (at, value) => {
    const [low, high] = ends[at];
    return Number.isFinite(high - low) && high > low ? (value - low) / (high - low) : 0.5;
  };
  const dots = points.map(([x, y, label]) => {
    const which = labels.indexOf(label);
    const colour = which < 0 ? {} : { class: `k${which}` };
    return shape("circle", { ...colour, cx: 4 + place(0, x) * (WIDTH - 8), cy: WIDTH - 4 - place(1, y) * (WIDTH - 8), r: 1.6, "fill-opacity": 0.6 });
  });
  const text = `Scatter plot of ${count(points.length)} rows: ${across} from left to right, ${up} from below.`;
  const picture = shape("svg", { class: "chart scatter", viewBox: `0 0 ${WIDTH} ${WIDTH}`, role: "img", "aria-label": text }, ...dots);
  const said = ends.map(([low, high]) => `from ${number(low)} to ${number(high)}`);
  return make("div", {}, picture, make("p", { class: "small soft" }, `From left to right ${across}, ${said[0]}; from below ${up}, ${said[1]}.`));
}
