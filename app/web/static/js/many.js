// Many columns changed at once: those that are ticked, or all that the search finds.

import { call } from "./api.js";
import { count } from "./charts.js";
import { TYPES } from "./column.js";
import { byId } from "./dom.js";
import { attempt } from "./failures.js";

const PAGE = 200; // As many columns as one answer has.

/** Let the tools work on `ticked` (columns by key) or on all that the search finds, `found()` many; return what redraws them. */
export function changeMany(path, { ticked, found, leaveOut, setTypes }) {
  const action = byId("many-action");
  action.append(...Object.entries(TYPES).filter(([type]) => type !== "numeric").map(([type, text]) => new Option(text, type)));
  const draw = () => {
    byId("many-ticked").textContent = `the ${count(ticked.size)} ticked`;
    byId("many-found").textContent = `all ${count(found())} found`;
    byId("many-apply").disabled = !(byId("many-which").value === "ticked" ? ticked.size : found());
  };
  byId("many-which").addEventListener("change", draw);
  byId("many-apply").addEventListener("click", () =>
    attempt(byId("many"), async () => {
      const which = byId("many-which").value === "ticked" ? [...ticked.values()] : await all(path);
      if (action.value === "leave-out") return leaveOut(which);
      const able = which.filter((column) => column.alternatives.find((each) => each.type === action.value)?.possible !== false);
      return setTypes(able, action.value || null, which.length - able.length);
    }),
  );
  return draw;
}

/** Every column that the search finds, a page at a time. */
async function all(path) {
  const search = byId("search").value.trim();
  const columns = [];
  for (let found = 1; columns.length < found; ) {
    const query = new URLSearchParams({ first: columns.length, columns: PAGE, search });
    const page = await call("GET", `${path}/preview?${query}`);
    if (!page.columns.length) break;
    columns.push(...page.columns);
    found = page.found;
  }
  return columns;
}
