// An upload before it is published: what was found in it, what is said of it, and how it fares.

import { call, Problem } from "./api.js";
import { count } from "./charts.js";
import { columnEntry, ROLES, TYPES } from "./column.js";
import { byId, keepingFocus, make, moment, moveTo, size } from "./dom.js";
import { attempt, complain, inWords, settle } from "./failures.js";
import { clear, onSubmit, say, show } from "./form.js";
import { changeMany } from "./many.js";
import { fillMetadata, readMetadata } from "./metadata.js";
import { canRetry, factsOf, isUnread, outcomeOf, stoppedAt } from "./outcome.js";
import { isOther, showDoubts, showReading, unread, wayBack } from "./reading.js";
import { chosenType, givenOf, roleOf, withRole, withoutColumns } from "./roles.js";
import { askToSignIn, framed, keepDraft, takeDraft, token } from "./session.js";
import { describe, publishAgain } from "./states.js";
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
const ticked = new Map(); // Columns by their key.
let upload = null;
let step = 0; // The last one that the upload has taken, as far as is known.
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

function see(found, taken = 0) {
  const before = upload;
  const last = found.events?.at(-1)?.id ?? taken;
  if (found.metadata) metadata = found.metadata;
  if (last < step) return; // What comes late by one way was told by the other.
  step = last;
  settle(byId("steps"));
  upload = { ...before, ...found };
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
  byId("facts").replaceChildren(...factsOf(upload));
  const stopped = ["failed", "cancelled", "duplicate"].includes(upload.state) || isUnread(upload);
  markSteps(STEPS, stopped ? stoppedAt(upload) : (STEP_OF[upload.state] ?? 3), stopped ? "stopped" : "now");
  showProgress();
  const isAsBefore = before?.state === upload.state && before.publish === upload.publish;
  if (isAsBefore && (before.error === null) === (upload.error === null)) return;
  showOutcome();
  showParts();
  if (before && !preview) announce(`${upload.file_name}: ${text}`);
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
  const canGoBack = preview && isOther(preview.reading, metadata.reading);
  const [kind, title, text, ...more] = outcomeOf(upload, { again, find: findColumn, back: canGoBack && goBack });
  const place = byId("outcome");
  place.hidden = !kind;
  if (!kind) return;
  place.className = `note ${kind}`;
  place.replaceChildren(make("h3", {}, title), make("p", {}, text), ...more.filter(Boolean));
  leaveFrame();
}

const again = () =>
  attempt(byId("outcome"), async () => {
    const moved = await publishAgain(upload);
    if (moved) goOn(moved);
  });

const goBack = () =>
  attempt(byId("outcome"), async () => {
    await change({ reading: wayBack(preview.reading, metadata.reading) });
    moveTo(byId("reading-title"));
  });

/** Show what can be done now. */
function showParts() {
  const { state } = upload;
  const changes = CHANGING.includes(state) && (state === "failed" ? canRetry(upload) : !upload.publish);
  const isAnew = state === "verifying" && !upload.publish && (preview !== null || !byId("reading").hidden);
  form.hidden = !changes;
  byId("stop").hidden = changes || !describe(state).canStop;
  const label = isAnew ? "Publish" : ({ failed: "Try again", ready: "Publish" }[state] ?? "Publish as soon as it is here");
  Object.assign(byId("publish"), { textContent: label, hidden: isUnread(upload) });
  byId("give-up").hidden = !describe(state).canStop;
  byId("expires").replaceChildren(...(state === "ready" && upload.expires_at ? ["It is kept for you until ", moment(upload.expires_at), "."] : []));
  byId("anew").textContent = isAnew ? `The table is read anew${preview ? "; until then you see what was found before" : ""}.` : "";
  if (isAnew) return;
  const shows = state === "ready" || (state === "failed" && canRetry(upload));
  if (!shows || !(preview || isUnread(upload))) hide("reading", "remarks", "columns", "given"); // Else the focus would be lost.
  if (shows) showPreview();
}

function hide(...parts) {
  for (const part of parts) byId(part).hidden = true;
}

// --- what was found

async function showPreview() {
  await attempt(byId("outcome"), async () => {
    try {
      await showColumns();
    } catch (problem) {
      if (problem.kind !== "upload-state") throw problem;
      hide("remarks", "columns");
      showGiven(); // Published without a stop, or no table.
      showHow(isUnread(upload) ? unread(upload.format) : (upload.reading ?? {}), []);
      return;
    }
    showOutcome();
    showRemarks();
    showHow(preview.reading, upload.error ? [] : preview.doubts);
    byId("columns").hidden = false;
  });
}

/** Show how the file is read, what is not sure in it, and what would do where it cannot be read. */
function showHow(reading, doubts) {
  const asked = Object.entries(upload.error?.choices ?? {}).map(([field, choices]) => ({ field, choices, column: upload.error.column }));
  const saveType = (name, type) => choose({ attributes: { [name]: type } }, `${name} is ${TYPES[type] ?? "a category"}`);
  keepingFocus(() => {
    const leaveOut = (name) => choose({ leave_out: [...(metadata.leave_out ?? []), name] }, `${name} is left out`);
    showDoubts(byId("doubts"), [...doubts, ...asked], { reading: saveReading, type: saveType, leaveOut });
    const chosen = metadata.reading ?? {};
    byId("reading").hidden = !showReading(byId("reading-fields"), reading, chosen, saveReading) && byId("doubts").hidden;
  });
}

const saveReading = (reading, said = "the reading") => choose({ reading }, said);

/** Save a choice; the preview of it comes by itself. */
async function choose(changes, said) {
  await change(changes);
  announce(`Saved: ${said}.`);
}

async function showColumns(from = first) {
  const query = new URLSearchParams({ first: from, columns: PAGE, search: byId("search").value.trim() });
  const asked = (asking += 1);
  const found = await call("GET", `${path}/preview?${query}`);
  if (asked !== asking) return; // An answer to a later question may be here already.
  if (from && !found.columns.length) return showColumns(0);
  first = from;
  preview = found;
  metadata = found.metadata;
  for (const column of found.columns) if (ticked.has(column.key)) ticked.set(column.key, column);
  const last = first + found.columns.length;
  const all = found.found === found.column_count ? "" : ` found, of ${count(found.column_count)}`;
  const range = found.columns.length === found.found ? count(found.found) : `${count(first + 1)} to ${count(last)} of ${count(found.found)}`;
  byId("shown").textContent = found.found ? `${range} ${found.found === 1 ? "column" : "columns"}${all}` : "No column has this in its name.";
  const on = { type: saveType, role: saveRole, name: saveName, leaveOut: (column) => attempt(byId("many"), () => leaveOut([column])), tick };
  const entryOf = (column) => columnEntry(column, { rows: found.row_count, chosen: chosenType(metadata, column), role: roleOf(metadata, column), ticked: ticked.has(column.key), on });
  keepingFocus(() => byId("column-list").replaceChildren(...found.columns.map(entryOf)));
  byId("pager").hidden = found.found <= PAGE;
  byId("earlier").disabled = first === 0;
  byId("later").disabled = last >= found.found;
  showRows();
  showRoles();
  drawMany();
}

function showRemarks() {
  const { error_count: errors, repairs, repair_count: all, unknown, hints } = preview;
  // Whether there is a target is said where it is chosen, and may have changed since.
  const warnings = preview.warnings.filter((text) => !text.includes("def_tar_att"));
  byId("remarks").hidden = !errors && !repairs.length && !warnings.length && !unknown.length && !hints.length;
  byId("column-errors").hidden = !errors;
  byId("column-errors").textContent = `${errors === 1 ? "One column" : `${count(errors)} columns`} cannot be published as ${errors === 1 ? "it is" : "they are"}; choose another type below.`;
  byId("repairs").hidden = !repairs.length;
  const more = all > repairs.length ? [make("li", {}, `… and ${count(all - repairs.length)} more`)] : [];
  byId("repair-list").replaceChildren(
    ...repairs.map(({ column, change, reason }) => make("li", {}, column && make("b", {}, `${column}: `), change, make("span", { class: "soft" }, ` ${reason}`))),
    ...more,
  );
  const misnamed = unknown.map(({ message }) => `${message} What was said of it does not count.`);
  byId("warning-list").replaceChildren(...[...misnamed, ...warnings].map((text) => make("li", {}, text)));
  showHints(hints);
}

function showHints(hints) {
  byId("hints").hidden = !hints.length;
  byId("hint-list").replaceChildren(...hints.map(({ message, advice, columns, column_count: all }) => make("li", {}, message, namesOf(columns, all), make("span", { class: "soft" }, ` ${advice}`))));
}

function namesOf(columns, all) {
  const more = all > columns.length ? ` and ${count(all - columns.length)} more` : "";
  return columns.length > 0 && make("span", {}, " ", make("b", {}, columns.join(", ")), `${more}.`);
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
  const gone = preview.unknown.filter(({ field }) => field.startsWith("attributes."));
  const types = gone.map(({ column }) => chip("Type", column, { attributes: { [column]: null } }, showColumns, "columns-title"));
  const none = !targets.length && make("span", { class: "badge warn" }, "No target yet");
  byId("roles").replaceChildren(...[none, ...chips(showColumns, "columns-title"), ...types].filter(Boolean));
  byId("no-target").hidden = targets.length > 0;
}

/** Without a preview, what was said of columns can at least be taken back: it may be why the upload failed. */
function showGiven() {
  const types = Object.entries(metadata.attributes).map(([name, type]) =>
    chip("Type", `${name} ${TYPES[type] ?? "nominal"}`, { attributes: { [name]: null } }, showGiven, "given-title"),
  );
  const all = [...chips(showGiven, "given-title"), ...types];
  byId("given-list").replaceChildren(...all);
  byId("given").hidden = !all.length;
}

const chips = (redraw, next) => givenOf(metadata).map(([role, name, changes]) => chip(role, name, changes, redraw, next));

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

async function saveType(column, type) {
  const attributes = { [column.key]: type };
  if (column.name !== column.key && Object.hasOwn(metadata.attributes, column.name)) attributes[column.name] = null;
  await choose({ attributes }, `${column.name} is ${type ? TYPES[type] : "as found"}`);
}

const saveName = (column, name) =>
  choose({ rename: { [column.key]: name === "" || name === column.file_name ? null : name } }, `${column.file_name} is ${name || "as in the file"}`);

async function leaveOut(columns) {
  for (const { key } of columns) ticked.delete(key);
  await choose(withoutColumns(metadata, columns), `${columns.length === 1 ? `${columns[0].key} is` : `${count(columns.length)} columns are`} left out`);
}

async function setTypes(columns, type, others) {
  const attributes = Object.fromEntries(columns.map(({ key }) => [key, type]));
  const not = others ? `; ${count(others)} cannot be` : "";
  await choose({ attributes }, `${count(columns.length)} ${columns.length === 1 ? "column is" : "columns are"} ${type ? TYPES[type] : "as found"}${not}`);
}

function tick(column, isTicked) {
  if (isTicked) ticked.set(column.key, column);
  else ticked.delete(column.key);
  byId("many-which").value = ticked.size ? "ticked" : "found";
  drawMany();
}

const drawMany = changeMany(path, { ticked, found: () => preview?.found ?? 0, leaveOut, setTypes });

async function saveRole(column, role) {
  await choose(withRole(metadata, column, role), `${column.name} is ${ROLES[role]}`);
  showRoles();
}

async function change(changes) {
  const hadEnded = describe(upload.state).ended;
  see(await call("PATCH", path, changes));
  if (hadEnded && !describe(upload.state).ended) follow();
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
