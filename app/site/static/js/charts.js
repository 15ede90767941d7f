// Little charts of a column: SVG without style or script, and everything that they show as text beside them.

import { make } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 240;
const HEIGHT = 56;
const GAP = 1;

/** A number as people read it: years without a comma, fractions without noise. */
export const number = (value) =>
  value === null ? "?" : value.toLocaleString(undefined, { maximumSignificantDigits: 6, useGrouping: "min2" });

export const count = (value) => value.toLocaleString();

/** A histogram: a picture that says in words what it shows. */
export function histogram({ edges, counts }) {
  const most = Math.max(...counts, 1);
  const step = WIDTH / counts.length;
  const bars = counts.map((height, index) => {
    const tall = height ? Math.max((height / most) * HEIGHT, 1) : 0;
    return shape("rect", { x: index * step + GAP / 2, y: HEIGHT - tall, width: Math.max(step - GAP, 0.5), height: tall });
  });
  const ground = shape("line", { x1: 0, y1: HEIGHT, x2: WIDTH, y2: HEIGHT });
  const top = counts.indexOf(Math.max(...counts));
  const label = `Histogram: ${counts.length} ${counts.length === 1 ? "bin" : "bins"} from ${number(edges[0])} to ${number(edges.at(-1))}; most values, ${count(counts[top])}, from ${number(edges[top])} to ${number(edges[top + 1])}`;
  return shape("svg", { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT + 1}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...bars, ground);
}

/** The commonest values as a list with a bar each. */
export function commonest(values, rows) {
  const most = Math.max(...values.map((each) => each.count), 1);
  return make(
    "ul",
    { class: "bars", role: "list", "aria-label": "Commonest values" },
    ...values.map((each) => {
      const bar = shape("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, shape("rect", { width: (100 * each.count) / most, height: 10 }));
      const share = rows ? ` (${Math.round((100 * each.count) / rows)} %)` : "";
      return make("li", {}, make("span", { class: "value" }, each.value || "(empty)"), make("span", { class: "count" }, `${count(each.count)}${share}`), bar);
    }),
  );
}

function shape(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
