// Calls to the public API, the one that everybody else uses (/docs). Failures are thrown as `Problem`.

import { askToSignIn, forget, token } from "./session.js";

const UNREACHABLE = "The service cannot be reached. Check your connection and try again.";

/** A failure as RFC 9457 describes it: `kind` is the last word of its type, `fields` lists {field, message}. */
export class Problem extends Error {
  constructor(document, status = 0) {
    super(document.detail ?? document.msg ?? `The service answered ${status}.`);
    this.kind = String(document.type ?? "").split("/").pop();
    this.fields = document.errors ?? [];
    this.document = document;
  }
}

/** Return the answer's JSON. `body` is sent as a form if it is one, else as JSON. */
export async function call(method, path, body) {
  const isForm = body instanceof FormData || body instanceof URLSearchParams;
  const headers = { Accept: "application/json", ...authorization() };
  if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  let answer, text;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined || isForm ? body : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
    text = await answer.text();
  } catch {
    throw new Problem({ detail: UNREACHABLE });
  }
  return judge(answer.status, text);
}

/** Send a form, telling `onProgress(sent, total)` how many bytes are out. `signal` calls it off. */
export function send(path, form, { headers = {}, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    // fetch() does not say how far a body has got.
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries({ Accept: "application/json", ...headers, ...authorization() })) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => {
      judge(request.status, request.responseText).then(resolve, reject);
    };
    request.onerror = () => reject(new Problem({ detail: UNREACHABLE }));
    request.onabort = () => reject(new Problem({ type: "cancelled", detail: "The upload was cancelled." }));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
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
