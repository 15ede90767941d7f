// Somebody's own private datasets, where their uploads are and on the page about them: asked for with the token, which a
// browser's own requests lack.

import { call } from "./api.js";
import { byId, make } from "./dom.js";
import { token } from "./session.js";

const MOST = 100;
const AGAIN = 3000; // The index looks for them when their owner comes, and has them a moment later.
const section = byId("own");

if (token()) look().then((found) => found || setTimeout(look, AGAIN));

/** Show them; nobody but their owner is told of any. */
async function look() {
  const { user } = section.dataset;
  const filter = [{ term: { visibility: "private" } }, ...(user ? [{ term: { uploader_id: Number(user) } }] : [])];
  const wanted = { size: MOST, query: { bool: { filter } }, _source: ["data_id", "name"], sort: [{ date: { order: "desc" } }] };
  try {
    const found = (await call("POST", "/es/data/_search", wanted)).hits.hits.map((hit) => hit._source);
    byId("own-list").replaceChildren(...found.map(item));
    section.hidden = found.length === 0;
    return found.length > 0;
  } catch {
    return false; // The rest of the page stands without them.
  }
}

function item({ data_id: number, name }) {
  return make("li", {}, make("a", { href: `/d/${number}` }, make("bdi", {}, `${name}`)), " ", make("span", { class: "badge warn" }, "Private"));
}
