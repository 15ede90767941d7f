// A private dataset, for its owner: browsers ask for a page without the token, and so it comes from the search.

import { call } from "./api.js";
import { byId, make } from "./dom.js";
import { complain } from "./failures.js";
import { token } from "./session.js";

const NOT_FOUND = 404;
const MOST_COLUMNS = 1000;
const missing = byId("missing");

if (token()) look();

async function look() {
  try {
    const found = await call("GET", `/es/data/data/${missing.dataset.number}`);
    show(found._source);
  } catch (problem) {
    if (problem.status !== NOT_FOUND) complain(missing, problem);
  }
}

function show({ name, description, features }) {
  document.querySelector("main h1").textContent = name;
  document.title = `${name} - OpenML`;
  byId("private-about").textContent = description || "There is no description.";
  const columns = (features ?? []).slice(0, MOST_COLUMNS);
  byId("private-columns").replaceChildren(...columns.map((each) => make("li", {}, make("bdi", {}, `${each.name}`), ` (${each.type})`)));
  missing.hidden = true;
  byId("private").hidden = false;
}
