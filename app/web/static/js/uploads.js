import { call, Problem } from "./api.js";
import { byId, make, moment, safeLink, size } from "./dom.js";
import { attempt, complain, load, settle } from "./failures.js";
import { askToSignIn, token } from "./session.js";
import { BEFORE, describe, follow, pageOf, publishAgain } from "./states.js";

const PAGE = 25;
const list = byId("list");
const more = byId("more");
const cards = new Map(); // Upload id -> what its card shows now, and the card.

if (token()) load(start);
else askToSignIn();

async function start() {
  const page = await fetchPage();
  byId("loading").hidden = true;
  byId("none").hidden = page.uploads.length > 0;
  page.uploads.forEach((upload) => list.append(card(upload)));
  offerMore(page.next);
  watchAll();
}

let watched = false;

/** Keep what moves up to date, until nothing does. */
async function watchAll() {
  if (watched) return;
  watched = true;
  await follow(refresh, { first: 1000 });
  watched = false;
}

async function refresh() {
  for (const [id, { upload }] of cards) {
    if (describe(upload.state).ended) continue;
    try {
      card(await call("GET", `/uploads/${id}`));
      settle(byId("none"));
    } catch (problem) {
      if (problem.kind === "unauthorized") return true;
      complain(byId("none"), new Problem({ detail: `${problem.message} What stands here may be old; we ask again.` }));
    }
  }
  return [...cards.values()].every(({ upload }) => describe(upload.state).ended);
}

async function fetchPage(before) {
  const query = new URLSearchParams({ limit: PAGE, ...(before && { before }) });
  return call("GET", `/uploads?${query}`);
}

function offerMore(next) {
  more.hidden = !next;
  more.onclick = () =>
    attempt(more, async () => {
      const page = await fetchPage(next);
      const added = page.uploads.map(card);
      list.append(...added);
      offerMore(page.next);
      added[0]?.querySelector("h2").focus();
    });
}

/** Return the upload's card; if there is one, it changes only as far as the upload has. */
function card(upload) {
  const known = cards.get(upload.id);
  if (known && known.upload.state === upload.state) return known.element;
  const element = known?.element ?? make("li", { class: "card" });
  cards.set(upload.id, { upload, element });
  element.replaceChildren(...content(upload).filter(Boolean));
  if (known) byId("announce").textContent = `${title(upload)}: ${describe(upload.state).text}`;
  return element;
}

function content(upload) {
  const { text, kind, canStop } = describe(upload.state);
  const link = safeLink(upload.dataset_url);
  const facts = [
    upload.file_name !== title(upload) && upload.file_name,
    upload.received_bytes !== null && size(upload.received_bytes),
    upload.row_count !== null && `${upload.row_count.toLocaleString()} rows × ${upload.column_count.toLocaleString()} columns`,
  ].filter(Boolean);
  return [
    make("div", { class: "title" }, make("h2", { tabindex: -1 }, title(upload)), make("span", { class: `badge ${kind ?? ""}` }, text)),
    make("p", { class: "soft small" }, moment(upload.created_at), ...facts.map((fact) => ` · ${fact}`)),
    link && make("p", {}, make("a", { href: link }, `Dataset ${upload.dataset_id} on OpenML`)),
    (canStop || canCorrect(upload) || upload.state === "duplicate") &&
      make(
        "div",
        { class: "actions" },
        upload.state === "duplicate"
          ? make("button", { type: "button", onclick: () => again(upload) }, "Publish it once more", hidden(upload))
          : make("a", { class: "button", href: pageOf(upload) }, WORDS[upload.state] ?? "Look at it", hidden(upload)),
        canStop && make("button", { type: "button", class: "danger", onclick: () => askToCancel(upload) }, "Cancel", hidden(upload)),
      ),
    upload.state === "duplicate" && make("p", { class: "note warn" }, BEFORE),
    upload.error && make("p", { class: "note bad" }, upload.error.detail),
    upload.warnings.length > 0 &&
      make(
        "details",
        {},
        make("summary", {}, upload.warnings.length === 1 ? "1 remark" : `${upload.warnings.length} remarks`),
        make("ul", { class: "plain" }, ...upload.warnings.map((warning) => make("li", {}, warning))),
      ),
  ];
}

const WORDS = { ready: "Look at it and publish", failed: "Correct it" };
const canCorrect = (upload) => upload.state === "failed" && upload.dataset_id === null && upload.sha256 !== null;
const hidden = (upload) => make("span", { class: "visually-hidden" }, ` ${title(upload)}`);

const actionsOf = (upload) => cards.get(upload.id).element.querySelector(".actions");

const again = (upload) =>
  attempt(actionsOf(upload), async () => {
    if (!(await publishAgain(upload))) return;
    await renew(upload);
    watchAll();
  });

function askToCancel(upload) {
  const sure = byId("sure");
  byId("sure-title").textContent = `Cancel ${title(upload)}?`;
  byId("sure-yes").onclick = () => {
    sure.close();
    attempt(actionsOf(upload), async () => {
      await call("DELETE", `/uploads/${upload.id}`);
      await renew(upload);
    });
  };
  sure.showModal();
}

byId("sure").querySelector("[data-close]").addEventListener("click", () => byId("sure").close());

async function renew({ id }) {
  card(await call("GET", `/uploads/${id}`)).querySelector("h2").focus();
}

const title = (upload) => upload.dataset_name ?? upload.file_name;
