// Watching an upload: by the service's events where they come through, else by asking again and again.

import { call, open } from "./api.js";
import { describe } from "./states.js";

const FIRST_EVENT = 8000; // Something on the way may hold a stream back until it ends.
const LONGEST_PAUSE = 5000;
const FAILURES = 2; // So many streams without an event, and we ask instead.

/**
 * Call `see(upload, step)` whenever it has changed, until it has ended or `signal` calls it off; `step` is the number of
 * the last one that it has taken. `lost(problem)` tells of a break.
 */
export async function watch(id, see, { signal, lost = () => {} } = {}) {
  let last = "";
  let failures = 0;
  let pause = 500;
  let upload = null;
  const told = (found) => {
    upload = found;
    pause = 500;
    see(found, Number(last));
  };
  while (!signal?.aborted) {
    try {
      if (failures < FAILURES) {
        failures += 1;
        const more = await stream(id, last, signal, (event) => {
          failures = 0;
          if (event.id) last = event.id;
          if (event.event === "upload") told(JSON.parse(event.data));
        });
        if (!more) told(await call("GET", `/uploads/${id}`));
      } else {
        told(await call("GET", `/uploads/${id}`));
      }
      if (upload && describe(upload.state).ended) return;
    } catch (problem) {
      if (signal?.aborted || problem.kind === "unauthorized") return;
      if (problem.kind === "not-found") throw problem;
      lost(problem);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 1.5, LONGEST_PAUSE);
    if (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

/** Read a stream to its end; false if there was none, because nothing more will happen. */
async function stream(id, last, signal, on) {
  const stop = new AbortController();
  signal?.addEventListener("abort", () => stop.abort(), { once: true });
  const late = setTimeout(() => stop.abort(), FIRST_EVENT);
  try {
    const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
    const answer = await open(`/uploads/${id}/events`, headers, stop.signal);
    if (answer.status === 204) return false;
    let text = "";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const blocks = (text + part.value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const event = Object.fromEntries(block.split(/\r?\n/).map((line) => /^(\w*): ?(.*)$/.exec(line)?.slice(1) ?? ["", ""]));
        if (!event.data) continue;
        clearTimeout(late);
        on(event);
      }
    }
    return true;
  } finally {
    clearTimeout(late);
  }
}
