// One column of a preview: what it is, why, what else it could be, what is in it.

import { commonest, count, histogram, number } from "./charts.js";
import { make } from "./dom.js";
import { inWords } from "./failures.js";

export const TYPES = {
  integer: "whole number (integer)",
  real: "number (real)",
  numeric: "number (numeric)",
  nominal: "category (nominal)",
  boolean: "true or false (boolean)",
  string: "text (string)",
};
export const ROLES = { "": "feature", target: "target: to be predicted", ignore: "ignored by models", id: "row number" };
const VALUES_SHOWN = 5;

/**
 * The column's entry. `on.type(column, type)`, `on.role(column, role)` and `on.name(column, name)` save a choice, and
 * throw if it is refused; `on.leaveOut(column)` leaves it out, `on.tick(column, ticked)` marks it.
 */
export function columnEntry(column, { rows, chosen, role, ticked, on }) {
  const id = `column-${column.position}`;
  const title = make("h3", { id, tabindex: -1 }, column.file_name || column.name);
  const badge = make("span", { class: "badge" });
  const why = make("p", { class: "why" });
  const tell = (kind) => {
    const label = typeof kind === "object" && kind ? "nominal" : kind;
    badge.textContent = TYPES[label || column.type];
    badge.className = `badge ${column.error && !label ? "bad" : label ? "good" : ""}`;
    why.replaceChildren(label ? "You have chosen this. " : "", label ? make("span", { class: "soft" }, `Found: ${TYPES[column.type]}. ${column.why}`) : column.why);
  };
  tell(chosen ?? null);
  const type = choice(`${id}-type`, "Type", title.textContent, typeOptions(column, chosen), async (value) => {
    await on.type(column, value || null);
    tell(value);
  });
  const name = make("input", { id: `${id}-name`, autocomplete: "off", maxlength: 64, value: column.name });
  const names = field(`${id}-name`, "Published as", title.textContent, name, (value) => on.name(column, value.trim()));
  const leaveOut = make("button", { type: "button", onclick: () => on.leaveOut(column) }, "Leave out", make("span", { class: "visually-hidden" }, ` ${title.textContent}`));
  const tick = make("input", { type: "checkbox", id: `${id}-tick`, "aria-label": `Tick ${title.textContent}`, checked: ticked, onchange: (event) => on.tick(column, event.target.checked) });
  const roles = choice(`${id}-role`, "Role", title.textContent, roleOptions(role), (value) => on.role(column, value));
  return make(
    "li",
    { class: "column" },
    make(
      "div",
      { class: "what" },
      make("div", { class: "title" }, tick, title, badge),
      column.name !== column.file_name && make("p", { class: "small soft" }, "Published as ", make("b", {}, column.name)),
      why,
      column.error && make("p", { class: "error" }, [column.error.message, column.error.hint].filter(Boolean).join(" ")),
      make("p", { class: "small soft" }, figures(column, rows)),
    ),
    make("div", { class: "picture" }, ...picture(column, rows)),
    make("div", { class: "choose" }, type, roles, make("details", {}, make("summary", {}, "Rename or leave out", make("span", { class: "visually-hidden" }, ` ${title.textContent}`)), names, leaveOut)),
    reasons(column),
  );
}

function figures(column, rows) {
  const { distinct, distinct_is_exact: exact, missing, label_count: labels } = column;
  return [
    missing ? `${count(missing)} of ${count(rows)} missing` : "None missing",
    `${exact ? "" : "at least "}${count(distinct)} ${distinct === 1 ? "value" : "different values"}`,
    labels && `${count(labels)} labels`,
  ].filter(Boolean).join(" · ");
}

function picture(column, rows) {
  if (column.numbers) {
    const { min, max, mean, std } = column.numbers;
    const facts = [["Least", min], ["Mean", mean], ["Greatest", max], ["Deviation", std]];
    return [
      histogram(column.numbers),
      make("dl", { class: "figures" }, ...facts.filter(([, value]) => value !== null).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, number(value))))),
    ];
  }
  const shown = (column.commonest ?? []).slice(0, VALUES_SHOWN);
  const { lengths } = column;
  const repeats = shown.some((each) => each.count > 1);
  return [
    repeats && commonest(shown, rows),
    shown.length > 0 && !repeats && make("p", { class: "examples" }, `Each once, such as ${shown.slice(0, 3).map(({ value }) => `“${value}”`).join(", ")}`),
    lengths && make("p", { class: "small soft" }, `Length: ${lengths.min === lengths.max ? "" : `${count(lengths.min)} to `}${count(lengths.max)}`),
    !shown.length && make("p", { class: "small soft" }, "No values"),
  ].filter(Boolean);
}

function typeOptions(column, chosen) {
  const labels = typeof chosen === "object" && chosen;
  const found = column.chosen ? "as the values say" : `as found: ${TYPES[column.type]}`;
  return [
    new Option(found, "", false, !chosen),
    ...(labels ? [Object.assign(new Option("category with your own labels", "labels", false, true), { disabled: true })] : []),
    ...column.alternatives.map((each) => {
      const option = new Option(TYPES[each.type], each.type, false, each.type === chosen);
      if (each.possible === false && each.type !== chosen) {
        option.disabled = true;
        option.text += each.value === null ? ": not possible" : `: not with “${short(each.value)}”`;
      } else if (each.possible === null) {
        option.text += ": perhaps";
      }
      return option;
    }),
  ];
}

const short = (text) => (text.length > 16 ? `${text.slice(0, 15)}…` : text);

function roleOptions(role) {
  return Object.entries(ROLES).map(([value, text]) => new Option(text, value, false, value === role));
}

const choice = (id, label, of, options, save) => field(id, label, of, make("select", { id }, ...options), save);

/** A field whose change is saved at once; what is wrong with it is said below, and the value goes back. */
function field(id, label, of, input, save) {
  const place = make("div", { class: "field" }, make("label", { for: id }, label, make("span", { class: "visually-hidden" }, ` of ${of}`)), input);
  let saved = input.value;
  input.addEventListener("change", async () => {
    const wanted = input.value;
    place.querySelector(".error")?.remove();
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
    try {
      await save(wanted);
      saved = wanted;
    } catch (problem) {
      input.value = saved;
      if (problem.kind === "unauthorized") return;
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", `${id}-error`);
      const text = problem.fields?.[0]?.message ?? inWords(problem);
      const error = make("p", { class: "error", id: `${id}-error`, role: "alert" }, text);
      place.append(error);
      error.scrollIntoView({ block: "nearest" });
    }
  });
  return place;
}

function reasons(column) {
  const against = column.alternatives.filter((each) => each.possible !== true);
  if (!against.length) return null;
  return make(
    "details",
    {},
    make("summary", {}, "Why not another type?", make("span", { class: "visually-hidden" }, ` Column ${column.name}`)),
    make(
      "ul",
      { class: "plain" },
      ...against.map((each) =>
        make("li", {}, make("b", {}, `${TYPES[each.type]}: `), each.possible === null ? "it has too many different values to say so before it is tried." : `${each.row ? `row ${count(each.row)}: ` : ""}${each.message}`),
      ),
    ),
  );
}
