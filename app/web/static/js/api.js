// Calls to the public API, the one that everybody else uses (/docs). Failures are thrown as `Problem`.

import { askToSignIn, forget, refresh, stays, token } from "./session.js";

const QUIET_MILLISECONDS = 120_000;
const UNREACHABLE = "The service cannot be reached. Check your connection and try again.";

/** A failure as RFC 9457 describes it: `kind` is the last word of its type, `fields` lists {field, message}. */
export class Problem extends Error {
  constructor(document, status = 0) {
    super(document.detail ?? document.msg ?? `The service answered ${status}.`);
    this.kind = String(document.type ?? "").split(/[/#]/).pop();
    this.fields = document.errors ?? [];
    this.document = document;
    this.status = status;
  }
}

/**
 * Return the answer's JSON. `body` is sent as a form if it is one, else as JSON. Cookies stay here: the service reads
 * one only where a log-in begins and ends, and a sign-up begins, which ask for `credentials`.
 */
export async function call(method, path, body, headers = {}, credentials = "omit") {
  const answer = await send(method, path, body, headers, credentials);
  // A session that stays goes on with another token; of all others this is the end.
  const again = answer.status === 401 && answer.text.includes("problems/unauthorized") && stays() && (await refresh());
  const { status, text } = again ? await send(method, path, body, headers, credentials) : answer;
  return judge(status, text);
}

async function send(method, path, body, headers, credentials) {
  const isForm = body instanceof FormData || body instanceof URLSearchParams;
  const all = { Accept: "application/json", ...headers, ...authorization() };
  if (body !== undefined && !isForm) all["Content-Type"] = "application/json";
  let answer, text;
  try {
    answer = await fetch(path, {
      method,
      headers: all,
      body: body === undefined || isForm ? body : JSON.stringify(body),
      credentials,
      cache: "no-store",
    });
    text = await answer.text();
  } catch {
    throw new Problem({ detail: UNREACHABLE });
  }
  return { status: answer.status, text };
}

/** Open a stream of the service's; the answer's body comes as it comes. */
export async function open(path, headers, signal) {
  let answer;
  try {
    answer = await fetch(path, { headers: { ...headers, ...authorization() }, credentials: "omit", cache: "no-store", signal });
  } catch {
    throw new Problem({ detail: UNREACHABLE });
  }
  if (!answer.ok) await judge(answer.status, await answer.text());
  return answer;
}

/**
 * Send bytes to an upload from `offset` on, telling `onProgress(sent)` how many are out; return how many are safe.
 * A line on which nothing moves for two minutes is given up: a browser would wait a quarter of an hour.
 */
export function sendBytes(path, bytes, offset, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    // fetch() does not say how far a body has got.
    const request = new XMLHttpRequest();
    request.open("PATCH", path);
    const headers = {
      "Tus-Resumable": "1.0.0",
      "Upload-Offset": offset,
      "Content-Type": "application/offset+octet-stream",
      ...authorization(),
    };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    let timer;
    const isAlive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), QUIET_MILLISECONDS);
    };
    request.upload.onprogress = (event) => {
      isAlive();
      onProgress(event.loaded);
    };
    request.onloadend = () => clearTimeout(timer);
    request.onload = () => {
      const safe = request.getResponseHeader("Upload-Offset");
      // A page of something that stands in between is no answer of ours, whatever its status.
      const taken = () => (safe === null ? reject(new Problem({ detail: UNREACHABLE })) : resolve(Number(safe)));
      judge(request.status, request.responseText).then(taken, reject);
    };
    request.onerror = () => reject(new Problem({ detail: UNREACHABLE }));
    request.onabort = () => reject(new Problem({ detail: signal.aborted ? "Sending was stopped." : UNREACHABLE }));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    isAlive();
    request.send(bytes);
  });
}

function authorization() {
  const found = token();
  return found ? { Authorization: `Bearer ${found}` } : {};
}

async function judge(status, text) {
  let document = {};
  try {
    document = JSON.parse(text);
  } catch {
    // What stands between us and the service may answer with a page.
  }
  if (status >= 200 && status < 300) return document;
  const problem = new Problem(document, status);
  if (problem.kind === "unauthorized") {
    forget();
    askToSignIn("ended");
  }
  throw problem;
}
