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
