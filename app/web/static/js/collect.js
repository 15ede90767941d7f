// Tasks are picked on any page of results, and made a collection. What is picked is kept until the tab ends.

import { call } from "./api.js";
import { byId, make } from "./dom.js";
import { onSubmit, say } from "./form.js";
import { token } from "./session.js";

const KEY = "openml-picked";
const NUMBER = /^[0-9]+$/;
const form = byId("collect-form");
const boxes = [...document.querySelectorAll("[data-pick]")];
const picked = new Set(read());

if (token()) begin();

function begin() {
  for (const box of boxes) {
    box.checked = picked.has(box.dataset.pick);
    box.addEventListener("change", () => pick(box));
  }
  byId("pick-none").addEventListener("click", () => {
    forgetAll();
    byId("collect").hidden = true;
    boxes[0]?.focus();
  });
  onSubmit(form, async (values) => {
    const made = await call("POST", "/upload-collection-tasks", { ...values, taskids: [...picked].join(",") });
    forgetAll();
    form.reset();
    const link = make("a", { href: `/s/${made.id}` }, `collection ${made.id}`);
    say(form, "good", "The collection is made: ", link, ". Pages show it in a few seconds.");
  });
  draw();
}

function pick(box) {
  if (box.checked) picked.add(box.dataset.pick);
  else picked.delete(box.dataset.pick);
  draw();
}

function forgetAll() {
  picked.clear();
  for (const box of boxes) box.checked = false;
  draw();
}

function draw() {
  const { size } = picked;
  byId("picked").textContent = size === 0 ? "No task is picked." : `${size} ${size === 1 ? "task is" : "tasks are"} picked.`;
  if (size) byId("collect").hidden = false;
  keep();
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]").filter((each) => NUMBER.test(each));
  } catch {
    return [];
  }
}

function keep() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify([...picked]));
  } catch {
    // This browser keeps nothing for us: what is picked ends with the page.
  }
}
