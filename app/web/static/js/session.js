// Where the access token lives: in this tab's sessionStorage, which ends with the tab (docs/pages.md says why).

const KEY = "openml-access-token";
const DRAFT = "openml-draft-";
/** Where it is kept which files are being sent (resumable.js). */
export const SENDING = "openml-sending";
const HALF_DONE = "openml-half-done";
const SPA_KEY = "token"; // Where the React frontend keeps its own: whoever signed in there is signed in here.

export function token() {
  const found = read(() => sessionStorage.getItem(KEY)) ?? read(() => localStorage.getItem(SPA_KEY));
  return found && found !== "undefined" && found !== "null" ? found : null;
}

const STAYS = "openml-stays"; // Whether this browser has the cookie of a session that stays, which no script can read.
const EARLY_MILLISECONDS = 10 * 60_000;
const LATEST_TIMER = 2 ** 31 - 1;

/** Remember that this browser stays signed in. */
export const staySignedIn = () => read(() => localStorage.setItem(STAYS, "yes"));
export const stays = () => read(() => localStorage.getItem(STAYS)) === "yes";

/** Get a new access token by the cookie; false if this session does not go on. One tab at a time: each cookie works once. */
export async function refresh() {
  const before = token();
  const ask = async () => {
    if (token() !== before) return true; // Another call of this tab has just done it.
    // Kept alive: a page that is left before the answer is there would leave the browser with a cookie that was used.
    const asking = { method: "POST", credentials: "same-origin", cache: "no-store", keepalive: true };
    const answer = await fetch("/session/refresh", asking).catch(() => null);
    if (answer?.status === 401) read(() => localStorage.removeItem(STAYS));
    if (!answer?.ok) return false;
    return begin((await answer.json()).access_token);
  };
  return navigator.locks ? navigator.locks.request("openml-refresh", ask) : ask();
}

/** When the token ends, in milliseconds from now. */
function left() {
  const [, claims = ""] = (token() ?? "").split(".");
  const told = read(() => JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))));
  return told ? told.exp * 1000 - Date.now() : 0;
}

/** Get a token of a session that stays, where the last one has ended: for without one nobody can sign out. */
export const wake = async () => stays() && left() <= 0 && refresh();

/** Keep a session that stays going: now, where its token is about to end, and later before each one does. */
async function goOn() {
  if (!stays()) return;
  if (left() < EARLY_MILLISECONDS && !(await refresh())) return;
  setTimeout(goOn, Math.min(Math.max(left() - EARLY_MILLISECONDS, 1000), LATEST_TIMER));
}

/** Keep the token; false if this browser keeps nothing for us. */
export function begin(accessToken) {
  return read(() => {
    sessionStorage.setItem(KEY, accessToken);
    return true;
  }) ?? false;
}

export function forget() {
  read(() => sessionStorage.removeItem(KEY));
  read(() => localStorage.removeItem(SPA_KEY));
}

/** Whether this page stands in another one, which is the frontend's: nobody else may frame it. */
export const framed = window.top !== window;

/** Go to the sign-in page, and come back here afterwards. */
export function askToSignIn(reason = "") {
  // A page of ours that is framed is framed by this site; signing in is for the whole window.
  const { pathname, search } = top.location;
  const query = new URLSearchParams({ next: pathname + search, ...(reason && { reason }) });
  top.location.replace(`/auth/sign-in?${query}`);
}

/** The page to go to after signing in: one of this site's, or the account. */
export function nextPage() {
  const wanted = new URLSearchParams(location.search).get("next");
  if (wanted) {
    const url = read(() => new URL(wanted, location.origin));
    // With its host: the path of "/.//example.org" alone would name another.
    if (url?.origin === location.origin) return url.href;
  }
  return "/auth/profile-page";
}

/** Keep a log-in that lacks its second factor, of whatever began it, for the sign-in page, which asks for that. */
export function keepHalfDone(found) {
  read(() => sessionStorage.setItem(HALF_DONE, JSON.stringify(found)));
}

export function takeHalfDone() {
  const kept = read(() => sessionStorage.getItem(HALF_DONE));
  read(() => sessionStorage.removeItem(HALF_DONE));
  return kept && JSON.parse(kept);
}

/** Leave nothing of this person's behind. */
export function signOut() {
  forget();
  read(() => localStorage.removeItem(STAYS));
  read(() => localStorage.removeItem(SENDING));
  read(() => Object.keys(sessionStorage).filter((key) => key.startsWith(DRAFT)).forEach((key) => sessionStorage.removeItem(key)));
}

/** Keep what was typed on a page over a new sign-in, until it is taken back. */
export function keepDraft(page, values) {
  read(() => sessionStorage.setItem(DRAFT + page, JSON.stringify(values)));
}

export function takeDraft(page) {
  const kept = read(() => sessionStorage.getItem(DRAFT + page));
  read(() => sessionStorage.removeItem(DRAFT + page));
  return kept && JSON.parse(kept);
}

function read(action) {
  try {
    return action();
  } catch {
    return null; // Site data is switched off.
  }
}

await goOn(); // Before any page looks whether somebody is signed in.
