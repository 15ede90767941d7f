import { call, Problem } from "./api.js";
import { columnNames } from "./columns.js";
import { byId, make, moveTo, safeLink, size } from "./dom.js";
import { attempt } from "./failures.js";
import { clear, onSubmit, say } from "./form.js";
import { fillMetadata, readMetadata } from "./metadata.js";
import { findSending, halfSent, keepSending, Sender } from "./resumable.js";
import { askToSignIn, keepDraft, takeDraft, token } from "./session.js";
import { BEFORE, describe, pageOf, STEPS } from "./states.js";
import { markSteps } from "./steps.js";
import { watch } from "./watch.js";

const COLUMNS_OFFERED = 200;
const OF_THE_FILE = ["file_name", "size"]; // Fields of the API that our form has no other field for.

if (!token()) askToSignIn();
const form = byId("upload");
const file = byId("file");
const look = byId("look");
const drop = byId("drop");
const panel = byId("progress");
const button = form.querySelector(".primary");
const largest = Number(form.dataset.largest);
let sender = null; // What is being sent.
let named = ""; // The name we made of the file's.

// --- the file

file.addEventListener("change", takeFile);
if (file.files.length) takeFile(); // Chosen before this script was there, or kept by the browser.
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (!event.dataTransfer.files.length) return;
  file.files = event.dataTransfer.files;
  takeFile();
});

async function takeFile() {
  const [chosen] = file.files;
  byId("chosen").textContent = chosen ? `${chosen.name}, ${size(chosen.size)}` : "";
  if (!chosen) return;
  const name = byId("dataset_name");
  if (!name.value || name.value === named) {
    named = chosen.name.replace(/\.[^.]*(\.gz)?$/i, "").replace(/[^a-zA-Z0-9_\-.(),]+/g, "-").slice(0, 128);
    name.value = named;
  }
  const begun = await findSending(chosen).catch(() => null);
  if (begun && file.files[0] === chosen) {
    byId("chosen").textContent += `. ${size(begun.received_bytes)} of it are here from before: sending goes on from there.`;
  }
  const columns = await columnNames(chosen).catch(() => []);
  byId("columns").replaceChildren(...columns.slice(0, COLUMNS_OFFERED).map((column) => make("option", { value: column })));
}

if (token()) {
  halfSent().then((uploads) => {
    const names = uploads.map((upload) => `${upload.file_name} (${size(upload.received_bytes)} of ${size(upload.size)})`);
    byId("half-sent").hidden = !names.length || sender !== null;
    byId("half-sent").textContent = `Not sent to its end: ${names.join(", ")}. Choose the same file again, and sending goes on from there.`;
  });
}

// --- whether to look first

look.addEventListener("change", takeChoice);

function takeChoice() {
  const about = byId("about");
  about.hidden = about.disabled = look.checked;
  button.textContent = look.checked ? "Send it and look" : "Publish";
}

let known = {}; // What was said of the file before, beyond what the form asks.

const draft = takeDraft("upload");
const earlier = new URLSearchParams(location.search).get("again");
if (draft) {
  look.checked = draft.look;
  fillMetadata(form, draft.metadata);
  known = draft.known ?? {};
  say(form, "", "Your session had ended. Here is what you had typed; choose the file again.");
} else if (earlier && token()) {
  attempt(document.querySelector("main h1"), () => takeUp(earlier));
}
byId("again").hidden = !form.querySelector("#allow_duplicate").checked;
takeChoice();

/** Fill in what was said of an upload whose bytes are gone; they are to be sent again, and published all the same. */
async function takeUp(id) {
  const upload = await call("GET", `/uploads/${encodeURIComponent(id)}`);
  const { attributes, classification, repair } = upload.metadata;
  known = { attributes, classification, repair };
  fillMetadata(form, upload.metadata);
  look.checked = false;
  allowAgain();
  takeChoice();
  say(form, "", `Its bytes are not kept: choose ${upload.file_name} again. Everything else is as you had it.`);
}

function allowAgain() {
  byId("allow_duplicate").checked = true;
  byId("again").hidden = false;
}

// --- sending

onSubmit(form, async ({ file: chosen }) => {
  const publish = !look.checked;
  if (chosen.size > largest) throw ofTheFile(`The file is larger than ${size(largest)}.`);
  const metadata = { ...known, ...readMetadata(form), dataset_name: byId("dataset_name").value };
  delete metadata.look;
  let upload;
  try {
    upload = await begin(chosen, metadata, publish);
  } catch (problem) {
    if (problem.kind === "unauthorized") keepDraft("upload", { look: look.checked, metadata, known });
    if (problem.kind === "format-not-supported") throw ofTheFile(`This kind of file cannot be read. ${form.dataset.formats}`);
    if (problem.fields?.some(({ field }) => OF_THE_FILE.includes(field)) || problem.kind === "body-too-large") throw ofTheFile(problem.message);
    throw problem;
  }
  await send(chosen, upload, publish);
});

/** A problem that is shown at the file. */
const ofTheFile = (message) => new Problem({ detail: message, errors: [{ field: "file", message }] });

/** Begin an upload, or go on with that of the same file. */
async function begin(chosen, metadata, publish) {
  const begun = await findSending(chosen);
  if (begun) {
    if (publish) return call("POST", `/uploads/${begun.id}/publish`, metadata);
    if (!begun.publish) return begun;
  }
  // Sent again after a lost answer, it is the same upload.
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const body = { file_name: chosen.name, size: chosen.size, metadata, publish };
  const upload = await retried(() => call("POST", "/uploads", body, { "Idempotency-Key": key }));
  keepSending(chosen, `/uploads/${upload.id}`);
  return upload;
}

async function retried(action) {
  try {
    return await action();
  } catch (problem) {
    if (problem.status) throw problem;
    return action();
  }
}

async function send(chosen, upload, publish) {
  sender = new Sender(chosen, `/uploads/${upload.id}`, {
    progress: (sent) => showBytes(sent, chosen.size),
    broken: () => lineIs("The line is broken. What was sent is safe; we try again until it goes on."),
    mended: () => lineIs("The line is back; sending goes on."),
  });
  showPanel(chosen);
  try {
    if (!(await sender.run())) {
      await call("DELETE", sender.path);
      throw new Problem({ type: "cancelled", detail: "The upload was cancelled." });
    }
  } catch (problem) {
    backToForm();
    throw problem;
  } finally {
    sender = null;
  }
  if (!publish) {
    location.assign(pageOf(upload));
    return;
  }
  byId("cancel").hidden = byId("pause").hidden = true;
  byId("safe").hidden = false;
  lineIs("");
  const lost = () => lineIs("The connection is gone; the upload goes on, and so do we as soon as it is back.");
  await attempt(byId("line"), () => watch(upload.id, see, { lost }));
}

function see(upload) {
  lineIs("");
  const { step, text, ended } = describe(upload.state);
  if (upload.state === "failed") {
    markStep(lastStep, "stopped");
    end("bad", upload.dataset_id ? "OpenML could not process the dataset" : "The dataset was not published", upload.error?.detail ?? text, upload);
  } else if (upload.state === "cancelled") {
    end("bad", "The dataset was not published", "The upload was cancelled.", upload);
  } else if (upload.state === "duplicate") {
    markStep(step, "stopped");
    end("warn", "It is on OpenML already", BEFORE, upload);
  } else {
    markStep(step);
    if (!ended) announce(text);
    else end("good", "Your dataset is on OpenML", "It is active: everybody can find and use it.", upload);
  }
}

// --- what people see of it

let lastStep = 0;
let announced = "";

function showPanel(chosen) {
  form.hidden = true;
  byId("progress-title").textContent = `Sending ${chosen.name}`;
  byId("outcome").replaceChildren();
  byId("outcome").hidden = true;
  byId("bytes").hidden = false;
  byId("cancel").hidden = byId("pause").hidden = false;
  byId("pause").textContent = "Pause";
  byId("safe").hidden = true;
  lineIs("");
  markStep(0);
  showBytes(0, chosen.size);
  moveTo(panel);
}

function showBytes(sent, total) {
  const percent = total ? Math.floor((100 * sent) / total) : 0;
  byId("bar").value = percent;
  byId("bytes-text").textContent = `${size(sent)} of ${size(total)} sent (${percent} %)`;
  // Every quarter is often enough to be read out.
  announce(percent < 100 ? `${percent - (percent % 25)} % sent` : "All bytes sent; the service is checking them");
}

function lineIs(text) {
  byId("line").textContent = text;
}

function announce(text) {
  if (text === announced) return;
  announced = text;
  byId("announce").textContent = text;
}

function markStep(current, kind) {
  lastStep = current;
  markSteps(STEPS, current, kind);
  if (current > 0) byId("bytes").hidden = true;
}

function end(kind, title, text, upload) {
  announce("");
  byId("safe").hidden = true;
  const link = safeLink(upload.dataset_url);
  const another = make("button", { type: "button", onclick: kind === "good" ? startAnew : backToForm });
  another.textContent = kind === "good" ? "Publish another table" : "Back to the form";
  const outcome = byId("outcome");
  outcome.className = `note ${kind}`;
  outcome.replaceChildren(
    make("h2", {}, title),
    make("p", {}, text),
    warnings(upload),
    make(
      "div",
      { class: "actions" },
      link && make("a", { class: "button primary", href: link }, `Open dataset ${upload.dataset_id}`),
      kind === "bad" && !upload.dataset_id && upload.error?.correct !== "file" && make("a", { class: "button", href: pageOf(upload) }, "Correct it here"),
      kind === "warn" && make("button", { type: "button", onclick: sendAgain }, "Publish it once more"),
      another,
    ),
  );
  for (const empty of [...outcome.childNodes].filter((node) => node.textContent === "")) empty.remove();
  moveTo(outcome);
}

function warnings(upload) {
  return make("ul", { class: "plain" }, ...upload.warnings.map((text) => make("li", {}, text)));
}

function backToForm() {
  panel.hidden = true;
  form.hidden = false;
  clear(form);
  file.focus();
}

/** The file is still chosen, and all is said of it. */
function sendAgain() {
  allowAgain();
  backToForm();
  form.requestSubmit();
}

function startAnew() {
  form.reset();
  known = {};
  byId("again").hidden = true;
  takeChoice();
  named = "";
  byId("chosen").textContent = "";
  backToForm();
}

byId("pause").addEventListener("click", () => {
  if (!sender) return;
  if (sender.paused) sender.resume();
  else sender.pause();
  byId("pause").textContent = sender.paused ? "Go on" : "Pause";
  lineIs(sender.paused ? "Paused. What was sent is safe." : "");
});
byId("cancel").addEventListener("click", () => sender?.cancel());
addEventListener("beforeunload", (event) => {
  if (sender) event.preventDefault();
});
