// A file sent in slices (tus 1.0), each of them safe once it is answered: after a break, a pause or a reload it goes on.

import { call, Problem, sendBytes } from "./api.js";
import { SENDING } from "./session.js";

const SLICE = 8 << 20;
const FIRST_REST = 1000;
const LONGEST_REST = 30_000;
const MOST_KEPT = 20;
const PASSING = [0, 408, 423, 429];

/** Whether a failure may be gone the next time. */
const passes = (problem) => PASSING.includes(problem.status) || problem.status >= 500 || problem.kind === "mismatching-upload-offset";

export class Sender {
  /** `on.progress(bytes)`: so many are out. `on.broken()`: the line is gone, and tried again. `on.mended()`: it is back. */
  constructor(file, path, on) {
    this.file = file;
    this.path = path;
    this.paused = false;
    this.cancelled = false;
    this.on = on;
    this.stop = new AbortController();
    this.wake = () => {};
  }

  pause() {
    this.paused = true;
    this.stop.abort();
  }

  resume() {
    this.paused = false;
    this.wake();
  }

  cancel() {
    this.cancelled = true;
    this.stop.abort();
    this.wake();
  }

  /** Send what the service does not have; return false if it was cancelled. */
  async run() {
    let offset = null;
    let rest = FIRST_REST;
    while (!this.cancelled) {
      if (this.paused) {
        await new Promise((resolve) => (this.wake = resolve));
        offset = null;
        continue;
      }
      try {
        offset ??= await this.ask();
        if (offset >= this.file.size) break;
        this.on.progress(offset);
        this.stop = new AbortController();
        const start = offset;
        offset = await sendBytes(this.path, this.file.slice(start, start + SLICE), start, {
          onProgress: (sent) => this.on.progress(start + sent),
          signal: this.stop.signal,
        });
        if (rest > FIRST_REST) this.on.mended();
        rest = FIRST_REST;
      } catch (problem) {
        offset = null;
        if (this.paused || this.cancelled) continue;
        if (!passes(problem)) throw problem;
        await this.requireFile();
        this.on.broken();
        await this.wait(rest);
        rest = Math.min(rest * 2, LONGEST_REST);
      }
    }
    if (!this.cancelled) forgetSending(this.file);
    return !this.cancelled;
  }

  async ask() {
    const upload = await call("GET", this.path);
    return upload.state === "receiving" ? upload.received_bytes : this.file.size;
  }

  /** A file that was changed or moved since looks like a broken line. */
  async requireFile() {
    try {
      await this.file.slice(0, 1).arrayBuffer();
    } catch {
      throw new Problem({ detail: "The file has changed, or is not there any more. Choose it again." });
    }
  }

  /** Wait a while, or until the browser says that the line is back. */
  wait(milliseconds) {
    return new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, milliseconds);
      addEventListener("online", resolve, { once: true });
    });
  }
}

const nameOf = (file) => [file.name, file.size, file.lastModified].join("/");

/** The upload of this very file that was begun before and waits for the rest of it, or null. */
export async function findSending(file) {
  const path = kept()[nameOf(file)];
  if (!path) return null;
  try {
    const upload = await call("GET", path);
    if (upload.state === "receiving") return upload;
  } catch (problem) {
    if (passes(problem)) throw problem; // It may be there all the same.
  }
  forgetSending(file);
  return null;
}

export function keepSending(file, path) {
  const entries = Object.entries({ ...kept(), [nameOf(file)]: path });
  store(Object.fromEntries(entries.slice(-MOST_KEPT)));
}

export function forgetSending(file) {
  const all = kept();
  delete all[nameOf(file)];
  store(all);
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(SENDING)) ?? {};
  } catch {
    return {};
  }
}

function store(all) {
  try {
    localStorage.setItem(SENDING, JSON.stringify(all));
  } catch {
    // Site data is switched off: it goes on after a break, but not after a reload.
  }
}
