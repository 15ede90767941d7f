// A file sent in slices (tus 1.0), each of them safe once it is answered: after a break, a pause or a reload it goes on.

import { call, Problem, sendBytes } from "./api.js";
import { SENDING } from "./session.js";

const SLICE = 8 << 20;
const FIRST_REST = 250;
const LONGEST_REST = 30_000;
const MOST_KEPT = 20;
const PASSING = [0, 408, 423, 429];
/** Of bytes that came late, twice (browsers repeat by themselves what was cut), or not all: asking says where to go on. */
const ASK_AGAIN = ["mismatching-upload-offset", "upload-state", "completed-upload", "malformed-body"];

/** Whether a failure may be gone the next time. */
const passes = ({ status, kind }) => PASSING.includes(status) || status >= 500 || ASK_AGAIN.includes(kind);

export class Sender {
  /** `on.progress(bytes)`: so many are out. `on.broken()`: nothing comes through; it is tried again. `on.mended()`: it is back. */
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
    let reached = 0;
    let breaks = 0; // Since anything came through: a line that breaks again and again gets on, and is not worth a word.
    while (!this.cancelled) {
      if (this.paused) {
        await new Promise((resolve) => (this.wake = resolve));
        offset = null;
        continue;
      }
      try {
        offset ??= await this.ask();
        if (this.paused || this.cancelled) continue;
        if (offset > reached) {
          if (breaks > 1) this.on.mended();
          reached = offset;
          breaks = 0;
        }
        if (offset >= this.file.size) break;
        this.on.progress(offset);
        this.stop = new AbortController();
        const start = offset;
        offset = await sendBytes(this.path, this.file.slice(start, start + SLICE), start, {
          onProgress: (sent) => this.on.progress(start + sent),
          signal: this.stop.signal,
        });
      } catch (problem) {
        offset = null;
        if (this.paused || this.cancelled) continue;
        if (!passes(problem)) throw problem;
        await this.requireFile();
        breaks += 1;
        if (breaks > 1) this.on.broken();
        await this.wait(Math.min(FIRST_REST * 2 ** (breaks - 1), LONGEST_REST));
      }
    }
    if (!this.cancelled) forgetSending(this.file);
    return !this.cancelled;
  }

  async ask() {
    const upload = await call("GET", this.path);
    if (!upload.state) throw new Problem({ detail: "Something on the way answers in place of the service." });
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

/** The uploads that were begun in this browser and wait for the rest of their files. */
export async function halfSent() {
  const all = await Promise.all(Object.values(kept()).map((path) => call("GET", path).catch(() => null)));
  return all.filter((upload) => upload?.state === "receiving");
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
