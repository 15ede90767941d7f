// Tasks and datasets are picked on any page of results, and made a collection. What is picked is kept until the tab ends.

import { call } from "./api.js";
import { byId, make } from "./dom.js";
import { onSubmit, say } from "./form.js";
import { token } from "./session.js";

const KEY = "openml-picked";
const form = byId("collect-form");
const boxes = [...document.querySelectorAll("[data-pick], [data-pick-dataset]")];
const picked = new Map(read().map((item) => [keyOf(item), item]));

if (token() && form) begin();

function begin() {
  for (const box of boxes) {
    box.checked = picked.has(keyOf(itemOf(box)));
    box.addEventListener("change", () => pick(box));
  }
  byId("pick-none").addEventListener("click", () => {
    forgetAll();
    byId("collect").hidden = true;
    boxes[0]?.focus();
  });
  onSubmit(form, async (values) => {
    const tasks = new Set();
    for (const item of picked.values()) tasks.add(item.task ?? (await taskOf(item)));
    const made = await call("POST", "/upload-collection-tasks", { ...values, taskids: [...tasks].join(",") });
    forgetAll();
    form.reset();
    const link = make("a", { href: `/s/${made.id}` }, `collection ${made.id}`);
    say(form, "good", "The collection is made: ", link, ". Pages show it in a few seconds.");
  });
  draw();
}

/** Return the number of the task of a dataset, which is made if there is none. */
async function taskOf({ dataset, target }) {
  const wanted = { dataset_id: dataset, task_type: target ? "supervised" : "clustering", target_name: target };
  try {
    return (await call("POST", "/upload-task", wanted)).id;
  } catch (problem) {
    problem.message = `Dataset ${dataset}: ${problem.message}`;
    throw problem;
  }
}

function itemOf({ dataset }) {
  if (dataset.pick) return { task: Number(dataset.pick) };
  return { dataset: Number(dataset.pickDataset), target: dataset.target };
}

function keyOf(item) {
  return item.task ? `task ${item.task}` : `dataset ${item.dataset}`;
}

function pick(box) {
  const item = itemOf(box);
  if (box.checked) picked.set(keyOf(item), item);
  else picked.delete(keyOf(item));
  draw();
}

function forgetAll() {
  picked.clear();
  for (const box of boxes) box.checked = false;
  draw();
}

function draw() {
  const tasks = [...picked.values()].filter((item) => item.task).length;
  const parts = [counted(tasks, "task"), counted(picked.size - tasks, "dataset")].filter(Boolean);
  byId("picked").textContent = `${parts.join(" and ") || "Nothing"} ${picked.size > 1 ? "are" : "is"} picked.`;
  if (picked.size) byId("collect").hidden = false;
  keep();
}

function counted(count, name) {
  return count && `${count} ${name}${count === 1 ? "" : "s"}`;
}

function read() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return found.filter((item) => Number.isInteger(item?.task ?? item?.dataset));
  } catch {
    return [];
  }
}

function keep() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...picked.values()]));
  } catch {
    // This browser keeps nothing for us: what is picked ends with the page.
  }
}
