// Little charts of a column: SVG without style or script, and everything that they show as text beside them.

import { make } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 240;
const TOP = 15; // Above it stands how many the tallest bar is.
const GROUND = 72;
const HEIGHT = 90;
const ROOM = 30; // What a label at the middle of the axis needs on either side.

/** A number as people read it: years without a comma, fractions without noise. */
export const number = (value) =>
  value === null ? "?" : value.toLocaleString(undefined, { maximumSignificantDigits: 6, useGrouping: "min2" });

export const count = (value) => value.toLocaleString();

/** A histogram: bars over their true places, how many the tallest is, an axis; all of it said in words, too. */
export function histogram({ min, max, histogram: { edges, counts } }) {
  const most = Math.max(...counts);
  const end = edges.at(-1);
  const isWhole = end > max; // The bin of a whole number reaches up to the next.
  const span = end / 2 - edges[0] / 2; // In halves: the difference may be beyond all numbers.
  const at = (value) => (span ? ((value / 2 - edges[0] / 2) / span) * WIDTH : 0);
  const bars = counts.map((height, index) => {
    const from = span ? at(edges[index]) : 0;
    const wide = (span ? at(edges[index + 1]) : WIDTH) - from;
    const tall = height ? Math.max((height / most) * (GROUND - TOP), 1) : 0;
    return shape("rect", { x: from, y: GROUND - tall, width: Math.max(wide - Math.min(1, wide / 4), 0.5), height: tall });
  });
  const zero = min < 0 && max > 0 && at(isWhole ? 0.5 : 0);
  const labels = [
    text(0, TOP - 4, "start", count(most)),
    text(0, HEIGHT - 4, "start", number(min)),
    min < max && text(WIDTH, HEIGHT - 4, "end", number(max)),
    zero !== false && zero > 2 * ROOM && zero < WIDTH - 2 * ROOM && text(zero, HEIGHT - 4, "middle", "0"),
  ];
  const lines = [
    line("scale", 0, TOP, WIDTH, TOP),
    line("ground", 0, GROUND, WIDTH, GROUND),
    ...[0, WIDTH].map((x) => line("ground", x, GROUND, x, GROUND + 4)),
    zero !== false && line("zero", zero, TOP, zero, GROUND + 4),
  ];
  const name = inWords(min, max, edges, counts, isWhole);
  return shape("svg", { class: "histogram", viewBox: `-1 0 ${WIDTH + 2} ${HEIGHT}`, role: "img", "aria-label": name }, ...bars, ...[...lines, ...labels].filter(Boolean));
}

function inWords(min, max, edges, counts, isWhole) {
  const most = Math.max(...counts);
  const top = counts.indexOf(most);
  const last = isWhole ? edges[top + 1] - 1 : edges[top + 1];
  const where = edges[top] === last ? `at ${number(last)}` : `from ${number(edges[top])} to ${number(last)}`;
  const zero = min < 0 && max > 0 ? ", with a line at zero" : "";
  const range = min < max ? `from ${number(min)} to ${number(max)}${zero}` : `all ${number(min)}`;
  return `Histogram: ${counts.length} ${counts.length === 1 ? "bar" : "bars"}, ${range}. The tallest is ${count(most)}, ${where}.`;
}

/** The commonest values as a list with a bar each, whose full length is all rows. */
export function commonest(values, rows) {
  const all = Math.max(rows, 1);
  return make(
    "ul",
    { class: "bars", role: "list", "aria-label": "Commonest values" },
    ...values.map((each) => {
      const bar = shape("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, shape("rect", { width: (100 * each.count) / all, height: 10 }));
      const share = ` (${Math.round((100 * each.count) / all)} %)`;
      return make("li", {}, make("span", { class: "value" }, each.value || "(empty)"), make("span", { class: "count" }, `${count(each.count)}${share}`), bar);
    }),
  );
}

const line = (kind, x1, y1, x2, y2) => shape("line", { class: kind, x1, y1, x2, y2 });
const text = (x, y, anchor, content) => shape("text", { x, y, "text-anchor": anchor }, content);

/** An element of SVG. */
export function shape(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
