// An upload before it is published: what was found in it, what is said of it, and how it fares.

import { call, Problem } from "./api.js";
import { count } from "./charts.js";
import { columnEntry, ROLES, TYPES } from "./column.js";
import { byId, entry, make, moment, moveTo, safeLink, size } from "./dom.js";
import { attempt, complain, inWords, settle } from "./failures.js";
import { clear, onSubmit, say, show } from "./form.js";
import { fillMetadata, readMetadata } from "./metadata.js";
import { askToSignIn, framed, keepDraft, takeDraft, token } from "./session.js";
import { BEFORE, describe, pageOf, publishAgain } from "./states.js";
import { markSteps } from "./steps.js";
import { watch } from "./watch.js";

const STEPS = ["send", "inspect", "decide", "publish", "process"];
const STEP_OF = { receiving: 0, verifying: 1, ready: 2, published: 4, processing: 4, active: 5 };
const PAGE = 50;
const SEARCH_PAUSE = 300;
const PHASES = {
  receiving: "received",
  verifying: "checked",
  inspecting: "looked at",
  converting: "converted",
  sending: "sent to OpenML",
};
const CHANGING = ["receiving", "verifying", "ready", "failed"];

const id = new URLSearchParams(location.search).get("uuid") ?? "";
const path = `/uploads/${encodeURIComponent(id)}`;
const form = byId("describe");
let upload = null;
let metadata = {}; // What the service knows of the dataset.
let preview = null;
let first = 0;
let asking = 0;
let watching = null;
let filled = false;

if (!token()) askToSignIn();
else start();

async function start() {
  try {
    if (!/^[0-9a-f]{32}$/.test(id)) throw new Problem({ detail: "This address names no upload." });
    see(await call("GET", path));
  } catch (problem) {
    if (problem.kind === "unauthorized") return;
    const back = make("a", { href: "/auth/my-uploads" }, "Your uploads");
    byId("loading").replaceChildren(make("span", { class: "note bad" }, inWords(problem), " ", back));
    leaveFrame();
    return;
  }
  onSubmit(form, publish);
  byId("loading").hidden = true;
  byId("page").hidden = false;
  follow();
}

async function follow() {
  watching?.abort();
  watching = new AbortController();
  const lost = ({ message }) => complain(byId("steps"), new Problem({ detail: `${message} We go on as soon as it is back.` }));
  await attempt(byId("steps"), () => watch(id, see, { signal: watching.signal, lost }));
}

// --- how it fares

function see(found) {
  const before = upload;
  settle(byId("steps"));
  upload = { ...before, ...found };
  if (found.metadata) metadata = found.metadata;
  if (found.metadata && !filled) {
    fillMetadata(form, metadata);
    fillMetadata(form, takeDraft(id) ?? {});
    byId("again").hidden = !metadata.allow_duplicate;
    filled = true;
  }
  const { text, kind } = describe(upload.state);
  byId("file-title").textContent = upload.file_name;
  byId("state").textContent = text;
  byId("state").className = `badge ${kind ?? ""}`;
  byId("facts").replaceChildren(...facts());
  const stopped = ["failed", "cancelled", "duplicate"].includes(upload.state);
  markSteps(STEPS, STEP_OF[upload.state] ?? (stopped ? stoppedAt() : 3), stopped ? "stopped" : "now");
  showProgress();
  if (before?.state === upload.state && before.publish === upload.publish) return;
  showOutcome();
  showParts();
  if (before) announce(`${upload.file_name}: ${text}`);
}

function facts() {
  const parts = [
    upload.size === null ? null : size(upload.size),
    upload.row_count === null ? null : `${count(upload.row_count)} rows × ${count(upload.column_count)} columns`,
    upload.format.toUpperCase(),
  ].filter(Boolean);
  return [moment(upload.created_at), ...parts.map((part) => ` · ${part}`)];
}

/** The step at which an upload ended, as far as its facts tell. */
function stoppedAt() {
  if (upload.state === "duplicate") return 3;
  if (upload.dataset_id !== null) return 4;
  if (upload.sha256 === null) return 0;
  return upload.row_count === null ? 1 : 3;
}

function showProgress() {
  const { progress } = upload;
  const moves = progress !== null && !describe(upload.state).ended;
  byId("progress").hidden = !moves;
  if (!moves) return;
  const done = progress.total_bytes ? Math.floor((100 * progress.bytes) / progress.total_bytes) : null;
  if (done === null) byId("bar").removeAttribute("value");
  else byId("bar").value = done;
  const rows = progress.rows === null ? "" : `, ${count(progress.rows)} rows`;
  const all = progress.total_bytes === null ? "" : ` of ${size(progress.total_bytes)}`;
  byId("progress-text").textContent = progress.detail ?? `${size(progress.bytes)}${all} ${PHASES[progress.phase]}${rows}`;
}

function showOutcome() {
  const [kind, title, text, ...more] = outcome();
  const place = byId("outcome");
  place.hidden = !kind;
  if (!kind) return;
  place.className = `note ${kind}`;
  place.replaceChildren(make("h3", {}, title), make("p", {}, text), ...more.filter(Boolean));
  leaveFrame();
}

function outcome() {
  const link = safeLink(upload.dataset_url);
  const open = link && make("a", { class: "button primary", href: link }, `Open dataset ${upload.dataset_id}`);
  const uploads = make("a", { href: "/auth/my-uploads" }, "Your uploads");
  if (upload.state === "receiving") {
    const text = "Not all bytes are here. Keep the page open that sends them, or choose the same file there again: it goes on where it stopped. ";
    return ["warn", "The file is still coming in", text, make("p", {}, make("a", { href: "/auth/upload-dataset" }, "Go on sending"))];
  }
  if (upload.state === "active") return ["good", "Your dataset is on OpenML", "It is active: everybody can find and use it.", open];
  if (upload.state === "published" || upload.state === "processing") {
    return ["good", "OpenML has your dataset", "It looks at it now; then it becomes active. You may close this page.", open];
  }
  if (upload.state === "duplicate") return ["warn", "It is on OpenML already", BEFORE, make("div", { class: "actions" }, make("button", { type: "button", onclick: again }, "Publish it once more"), open)];
  if (upload.state === "received" && upload.duplicate_of) return waiting();
  if (upload.state === "cancelled") return ["warn", "This upload was cancelled", "Its bytes are gone; nothing was published.", make("p", {}, uploads)];
  if (upload.state === "failed") {
    const title = upload.dataset_id === null ? "It was not published" : "OpenML could not process the dataset";
    const { column } = upload.error;
    const find = column && make("p", {}, make("button", { type: "button", onclick: () => findColumn(column) }, `Show column ${column}`));
    const text = `${upload.error.detail} ${whatToDo()}`;
    const again = !canRetry() && make("p", {}, make("a", { href: "/auth/upload-dataset" }, "Send a file"));
    return ["bad", title, text, find, again, open];
  }
  return [null];
}

const again = () =>
  attempt(byId("outcome"), async () => {
    const moved = await publishAgain(upload);
    if (moved) goOn(moved);
  });

/** Where another upload of the same file goes first. */
function waiting() {
  const other = make("a", { class: "button", href: pageOf({ id: upload.duplicate_of }) }, "See how that one fares");
  return ["warn", "You are publishing this file already", "Another upload of yours has the same file and name. This one is published only if that one is not.", make("p", {}, other)];
}

function whatToDo() {
  if (upload.error.correct === "file") return "Correct the file, then send it again.";
  if (!canRetry()) return "Send the file again.";
  return upload.error.correct === "nothing" ? "" : "Correct it below, then try again.";
}

/** Whether the bytes that are here can still become a dataset. */
function canRetry() {
  const { error, dataset_id: published, sha256 } = upload;
  return published === null && sha256 !== null && error?.type.split("/").pop() !== "upload-gone" && error?.correct !== "file";
}

/** Show what can be done now. */
function showParts() {
  const { state } = upload;
  const changes = CHANGING.includes(state) && (state === "failed" ? canRetry() : !upload.publish);
  form.hidden = !changes;
  byId("stop").hidden = changes || !describe(state).canStop;
  const label = { failed: "Try again", ready: "Publish" }[state] ?? "Publish as soon as it is here";
  byId("publish").textContent = label;
  byId("give-up").hidden = !describe(state).canStop;
  byId("expires").replaceChildren(...(state === "ready" && upload.expires_at ? ["It is kept for you until ", moment(upload.expires_at), "."] : []));
  byId("remarks").hidden = byId("columns").hidden = byId("given").hidden = true;
  if (state === "ready" || (state === "failed" && canRetry())) showPreview();
}

// --- what was found

async function showPreview() {
  await attempt(byId("outcome"), async () => {
    try {
      await showColumns();
    } catch (problem) {
      if (problem.kind !== "upload-state") throw problem;
      showGiven(); // Published without a stop, or no table.
      return;
    }
    showRemarks();
    byId("columns").hidden = false;
  });
}

async function showColumns(from = first) {
  const query = new URLSearchParams({ first: from, columns: PAGE, search: byId("search").value.trim() });
  const asked = (asking += 1);
  const found = await call("GET", `${path}/preview?${query}`);
  if (asked !== asking) return; // An answer to a later question may be here already.
  first = from;
  preview = found;
  metadata = found.metadata;
  const last = first + found.columns.length;
  const all = found.found === found.column_count ? "" : ` found, of ${count(found.column_count)}`;
  const range = found.columns.length === found.found ? count(found.found) : `${count(first + 1)} to ${count(last)} of ${count(found.found)}`;
  byId("shown").textContent = found.found ? `${range} ${found.found === 1 ? "column" : "columns"}${all}` : "No column has this in its name.";
  byId("column-list").replaceChildren(
    ...found.columns.map((column) =>
      columnEntry(column, { rows: found.row_count, chosen: chosenType(column), role: roleOf(column), on: { type: saveType, role: saveRole } }),
    ),
  );
  byId("pager").hidden = found.found <= PAGE;
  byId("earlier").disabled = first === 0;
  byId("later").disabled = last >= found.found;
  showRows();
  showRoles();
}

function showRemarks() {
  const { error_count: errors, repairs, repair_count: all } = preview;
  // Whether there is a target is said where it is chosen, and may have changed since.
  const warnings = preview.warnings.filter((text) => !text.includes("def_tar_att"));
  byId("remarks").hidden = !errors && !repairs.length && !warnings.length;
  byId("column-errors").hidden = !errors;
  byId("column-errors").textContent = `${errors === 1 ? "One column" : `${count(errors)} columns`} cannot be published as ${errors === 1 ? "it is" : "they are"}; choose another type below.`;
  byId("repairs").hidden = !repairs.length;
  const more = all > repairs.length ? [make("li", {}, `… and ${count(all - repairs.length)} more`)] : [];
  byId("repair-list").replaceChildren(
    ...repairs.map(({ column, change, reason }) => make("li", {}, column && make("b", {}, `${column}: `), change, make("span", { class: "soft" }, ` ${reason}`))),
    ...more,
  );
  byId("warning-list").replaceChildren(...warnings.map((text) => make("li", {}, text)));
}

function showRows() {
  const columns = preview.columns.filter((column) => column.first_values);
  byId("rows").hidden = !columns.length;
  if (!columns.length) return;
  const head = make("tr", {}, ...columns.map((column) => make("th", { scope: "col" }, column.name)));
  const rows = columns[0].first_values.map((_, row) =>
    make("tr", {}, ...columns.map(({ first_values: values }) => (values[row] === null ? make("td", {}, make("span", { class: "missing" }, "missing")) : make("td", {}, values[row])))),
  );
  byId("row-table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

function showRoles() {
  const targets = metadata.def_tar_att;
  const none = !targets.length && make("span", { class: "badge warn" }, "No target yet");
  byId("roles").replaceChildren(...[none, ...roleChips(showColumns, "columns-title")].filter(Boolean));
  byId("no-target").hidden = targets.length > 0;
}

/** Without a preview, what was said of columns can at least be taken back: it may be why the upload failed. */
function showGiven() {
  const types = Object.entries(metadata.attributes).map(([name, type]) =>
    chip("Type", `${name} ${TYPES[type] ?? "nominal"}`, { attributes: { [name]: null } }, showGiven, "given-title"),
  );
  const chips = [...roleChips(showGiven, "given-title"), ...types];
  byId("given-list").replaceChildren(...chips);
  byId("given").hidden = !chips.length;
}

function roleChips(redraw, next) {
  const { def_tar_att: targets, ignore_attribute: ignored, row_id_attribute: rowId } = metadata;
  const given = [
    ...targets.map((name) => ["Target", name, { def_tar_att: targets.filter((one) => one !== name) }]),
    ...ignored.map((name) => ["Ignored", name, { ignore_attribute: ignored.filter((one) => one !== name) }]),
    ...(rowId ? [["Row number", rowId, { row_id_attribute: "" }]] : []),
  ];
  return given.map(([role, name, changes]) => chip(role, name, changes, redraw, next));
}

function chip(role, name, changes, redraw, next) {
  const takeAway = () =>
    attempt(byId(next), async () => {
      await change(changes);
      await redraw();
      announce(`Taken away: ${role.toLowerCase()} ${name}.`);
      moveTo(byId(byId(next).closest("section").hidden ? "file-title" : next));
    });
  return make("button", { type: "button", class: "chip", "aria-label": `${role}: ${name}. Take it away`, onclick: takeAway }, `${role}: ${name} ✕`);
}

const namesOf = ({ key, name }) => [key, name];
const isNamed = (column, names) => namesOf(column).some((name) => names.includes(name));
const without = (column, names) => names.filter((name) => !namesOf(column).includes(name));

function chosenType({ key, name }) {
  return entry(metadata.attributes, key) ?? entry(metadata.attributes, name);
}

function roleOf(column) {
  if (isNamed(column, metadata.def_tar_att)) return "target";
  if (isNamed(column, metadata.ignore_attribute)) return "ignore";
  return isNamed(column, [metadata.row_id_attribute]) ? "id" : "";
}

async function saveType(column, type) {
  const attributes = { [column.key]: type };
  if (column.name !== column.key && Object.hasOwn(metadata.attributes, column.name)) attributes[column.name] = null;
  await change({ attributes });
  announce(`Saved: ${column.name} is ${type ? TYPES[type] : "as found"}.`);
}

async function saveRole(column, role) {
  const rowId = isNamed(column, [metadata.row_id_attribute]) ? "" : metadata.row_id_attribute;
  const targets = without(column, metadata.def_tar_att);
  const ignored = without(column, metadata.ignore_attribute);
  if (role === "target") targets.push(column.key);
  if (role === "ignore") ignored.push(column.key);
  const changes = { def_tar_att: targets, ignore_attribute: ignored, row_id_attribute: role === "id" ? column.key : rowId };
  await change(changes);
  showRoles();
  announce(`Saved: ${column.name} is ${ROLES[role]}.`);
}

async function change(changes) {
  const changed = await call("PATCH", path, changes);
  metadata = changed.metadata;
}

async function findColumn(name) {
  byId("search").value = name;
  await search();
  byId("column-list").querySelector("h3")?.focus();
}

const search = () => attempt(byId("search").closest(".bar-of-tools"), () => showColumns(0));

let typing = 0;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, SEARCH_PAUSE);
});
for (const [button, step] of [["earlier", -PAGE], ["later", PAGE]]) {
  byId(button).addEventListener("click", () =>
    attempt(byId("pager"), async () => {
      await showColumns(Math.max(first + step, 0));
      byId("columns-title").focus();
    }),
  );
}

// --- what is done with it

async function publish() {
  const action = upload.state === "failed" ? "retry" : "publish";
  goOn(await saved(() => call("POST", `${path}/${action}`, readMetadata(form))));
}

function goOn(moved) {
  see(moved);
  moveTo(byId("file-title"));
  follow();
}

/** Keep what was typed if the session has ended meanwhile. */
async function saved(action) {
  try {
    return await action();
  } catch (problem) {
    if (problem.kind === "unauthorized") keepDraft(id, readMetadata(form));
    throw problem;
  }
}

byId("save").addEventListener("click", async () => {
  clear(form);
  try {
    await saved(() => change(readMetadata(form)));
    say(form, "good", "Saved. You find it again under My uploads.");
  } catch (problem) {
    show(form, problem);
  }
});

for (const button of ["give-up", "give-up-early"]) byId(button).addEventListener("click", () => byId("sure").showModal());
byId("sure").querySelector("[data-close]").addEventListener("click", () => byId("sure").close());
byId("sure-yes").addEventListener("click", () => {
  byId("sure").close();
  attempt(form.hidden ? byId("stop") : byId("give-up").closest(".actions"), async () => {
    await call("DELETE", path);
    see(await call("GET", path));
    moveTo(byId("file-title"));
  });
});

/** Say what has worked; it is seen where it did. What has not is for `attempt`. */
function announce(text) {
  byId("announce").textContent = text;
}

/** No other page of ours may be framed: links leave the frame. */
function leaveFrame() {
  if (framed) for (const link of document.querySelectorAll("main a")) link.target = "_top";
}
