// A dataset's page: what its owner may want to know of the upload, and the form that makes a task of it.

import { call } from "./api.js";
import { byId, make } from "./dom.js";
import { complain, inWords } from "./failures.js";
import { onSubmit, say } from "./form.js";
import { token } from "./session.js";

const page = byId("dataset");
const form = byId("make-task");

const TRIES = 150;
const PAUSE = 2000;

if (token()) showOwn();
if (byId("contents-link")) look();
if (form) offerTask();

async function showOwn() {
  const number = Number(page.dataset.number);
  try {
    const { uploads } = await call("GET", "/uploads?limit=100");
    const own = uploads.find((upload) => upload.dataset_id === number);
    if (own) show(own);
  } catch (problem) {
    complain(page, problem);
  }
}

/** Have the file looked at, and say when there is something to see; five minutes long, then the link is still there. */
async function look() {
  const [note, link] = [byId("contents-note"), byId("contents-link")];
  note.textContent = "The file is being looked at, for charts and the first rows …";
  link.hidden = true;
  try {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const found = await call("GET", `/datasets/${page.dataset.number}/statistics?limit=0`);
      if (found.state !== "computing") return ready(note, link);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    note.textContent = "The file is large, and is still being looked at.";
  } catch (problem) {
    note.textContent = inWords(problem);
  }
  link.hidden = false;
}

/** Show it by itself, once, and only to who has done nothing on the page yet: what somebody reads must not jump. */
function ready(note, link) {
  const [opened] = performance.getEntriesByType("navigation");
  const isUntouched = window.scrollY === 0 && document.activeElement === document.body && !location.hash;
  if (isUntouched && opened?.type !== "reload") {
    location.reload();
    return;
  }
  note.textContent = "Charts and the first rows are there.";
  link.hidden = false;
}

function show({ id, warnings, repairs }) {
  const told = [...warnings, ...repairs.map(({ field, message }) => `${field}: ${message}`)];
  byId("yours-text").textContent = told.length
    ? "When it was published, this was told or changed:"
    : "It was published as you sent it: nothing was changed, and there was nothing to warn of.";
  byId("yours-warnings").replaceChildren(...told.map((text) => make("li", {}, text)));
  byId("yours-upload").href = `/dashboard/data-upload?uuid=${encodeURIComponent(id)}`;
  byId("yours").hidden = false;
}

function offerTask() {
  const { task_type: kind, target_name: target, estimation_procedure: procedure } = form.elements;
  const fit = () => {
    const isClustering = kind.value === "clustering";
    target.required = !isClustering;
    target.closest(".field").hidden = isClustering;
    for (const option of procedure.options) {
      option.hidden = option.disabled = option.dataset.kind !== kind.value;
    }
    procedure.value = [...procedure.options].find((option) => !option.disabled)?.value ?? "";
  };
  kind.addEventListener("change", fit);
  fit();
  onSubmit(form, async (values) => {
    if (values.task_type === "clustering") values.target_name = "";
    const made = await call("POST", "/upload-task", { ...values, dataset_id: Number(form.dataset.dataset) });
    const text = made.msg === "task exists" ? "There is this task already: " : "The task is made: ";
    say(form, "good", text, make("a", { href: `/t/${made.id}` }, `task ${made.id}`), ". Pages show it in a few seconds.");
  });
}
