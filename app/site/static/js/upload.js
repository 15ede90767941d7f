import { call, Problem, send } from "./api.js";
import { columnNames } from "./columns.js";
import { byId, make, moveTo, safeLink, size } from "./dom.js";
import { clear, onSubmit, say } from "./form.js";
import { askToSignIn, keepDraft, takeDraft, token } from "./session.js";
import { describe, follow, STEPS } from "./states.js";

const LISTS = ["creator", "contributor"];
const COLUMNS_OFFERED = 200;

if (!token()) askToSignIn();
const form = byId("upload");
const file = form.elements.dataset;
const drop = byId("drop");
const panel = byId("progress");
const largest = Number(form.dataset.largest);
let sending = null; // Calls the running upload off.
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
  const name = form.elements.dataset_name;
  if (!name.value || name.value === named) {
    named = chosen.name.replace(/\.[^.]*(\.gz)?$/i, "").replace(/[^a-zA-Z0-9_\-.(),]+/g, "-").slice(0, 128);
    name.value = named;
  }
  const columns = await columnNames(chosen).catch(() => []);
  byId("columns").replaceChildren(...columns.slice(0, COLUMNS_OFFERED).map((column) => make("option", { value: column })));
}

const draft = takeDraft();
if (draft) {
  for (const [name, value] of Object.entries(draft)) {
    const field = form.elements[name];
    if (field.type === "checkbox") field.checked = true; // Only those that are marked are kept.
    else field.value = value;
  }
  say(form, "", "Your session had ended. Here is what you had typed; choose the file again.");
}

// --- sending

onSubmit(form, async ({ dataset, ...metadata }) => {
  if (dataset.size > largest) {
    throw new Problem({ errors: [{ field: "dataset", message: `The file is larger than ${size(largest)}.` }] });
  }
  try {
    await call("GET", "/verifytoken"); // Before a large file is on its way for nothing.
  } catch (problem) {
    if (problem.kind === "unauthorized") keepDraft(metadata);
    throw problem;
  }
  for (const list of LISTS) metadata[list] = metadata[list].split(";").map((one) => one.trim()).filter(Boolean);
  metadata.notify = form.elements.notify.checked;
  const parts = new FormData();
  parts.append("dataset", dataset);
  parts.append("metadata", new Blob([JSON.stringify(metadata)], { type: "application/json" }));
  begin(dataset);
  try {
    await publish(parts);
  } finally {
    sending = null;
  }
});

async function publish(parts) {
  let accepted;
  try {
    accepted = await send("/data-upload", parts, {
      headers: { Prefer: "respond-async" },
      onProgress: showBytes,
      signal: sending.signal,
    });
    if (!accepted.upload_id) {
      throw new Problem({ errors: [{ field: "dataset", message: `This kind of file cannot be read. ${form.dataset.formats}` }] });
    }
  } catch (problem) {
    backToForm();
    throw problem;
  }
  sending = null;
  byId("cancel").hidden = true;
  byId("safe").hidden = false;
  await watch(accepted.status_path);
}

async function watch(path) {
  await follow(async () => {
    let upload;
    try {
      upload = await call("GET", path);
    } catch (problem) {
      if (problem.kind) {
        end("bad", "We lost sight of the upload", problem.message);
        return true;
      }
      announce("The connection is gone; the upload goes on, and so do we as soon as it is back.");
      return false;
    }
    const { step, text, ended } = describe(upload.state);
    if (upload.state === "failed") {
      markStep(lastStep, "stopped");
      end("bad", upload.dataset_id ? "OpenML could not process the dataset" : "The dataset was not published", upload.error?.detail ?? text, upload);
    } else {
      markStep(step);
      if (!ended) announce(text);
      else end("good", "Your dataset is on OpenML", "It is active: everybody can find and use it.", upload);
    }
    return ended;
  });
}

// --- what people see of it

let lastStep = 0;
let announced = "";

function begin(chosen) {
  sending = new AbortController();
  form.hidden = true;
  byId("progress-title").textContent = `Publishing ${chosen.name}`;
  byId("outcome").replaceChildren();
  byId("outcome").hidden = true;
  byId("bytes").hidden = false;
  byId("cancel").hidden = false;
  byId("safe").hidden = true;
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

function announce(text) {
  if (text === announced) return;
  announced = text;
  byId("announce").textContent = text;
}

function markStep(current, kind = "now") {
  lastStep = current;
  STEPS.forEach((name, index) => {
    const item = byId(`step-${name}`);
    const state = index < current ? "done" : index === current ? kind : "";
    item.className = state;
    if (index === current) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
    item.querySelector("[data-state]").textContent = { done: " (done)", now: " (under way)", stopped: " (stopped)" }[state] ?? "";
  });
  if (current > 0) byId("bytes").hidden = true;
}

function end(kind, title, text, upload) {
  announce("");
  byId("safe").hidden = true;
  const link = safeLink(upload?.dataset_url);
  const again = make("button", { type: "button", onclick: kind === "good" ? startAnew : backToForm });
  again.textContent = kind === "good" ? "Publish another table" : "Back to the form";
  const outcome = byId("outcome");
  outcome.className = `note ${kind}`;
  outcome.replaceChildren(
    make("h2", {}, title),
    make("p", {}, text),
    warnings(upload),
    make("div", { class: "actions" }, link && make("a", { class: "button primary", href: link }, `Open dataset ${upload.dataset_id}`), again),
  );
  for (const empty of [...outcome.childNodes].filter((node) => node.textContent === "")) empty.remove();
  moveTo(outcome);
}

function warnings(upload) {
  return make("ul", { class: "plain" }, ...(upload?.warnings ?? []).map((text) => make("li", {}, text)));
}

function backToForm() {
  panel.hidden = true;
  form.hidden = false;
  clear(form);
  file.focus();
}

function startAnew() {
  form.reset();
  named = "";
  byId("chosen").textContent = "";
  backToForm();
}

byId("cancel").addEventListener("click", () => sending?.abort());
addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
