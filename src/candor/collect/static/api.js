// Every request to the server. A refusal is a Refused with the server's own words; no connection is Unreachable.

export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    const { what = `the server answered ${status}`, where = "", fix = "" } = problem ?? {};
    super([where, what].filter(Boolean).join(": ") + (fix ? ` (${fix})` : ""));
    Object.assign(this, { status, what, where, fix, retryAfter });
  }

  // Worth trying again by itself: the server is busy, restarting or out of space, not of another opinion.
  get passing() {
    return this.status === 408 || this.status === 425 || this.status === 429 || this.status >= 500;
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The server cannot be reached");
  }
}

// Another person has signed in on this browser: nothing of the first one may be sent in their name.
export class OtherAccount extends Error {
  constructor(name) {
    super(`${name} is signed in on this browser now`);
    this.name_now = name;
  }
}

let session = null;
let signInAgain = null;

export const currentSession = () => session;

// What to do when the session has run out: a function that returns once somebody has signed in again.
export function onExpired(ask) {
  signInAgain = ask;
}

// A page belongs to whoever it was loaded for: it never goes on in another name.
export async function readSession() {
  const now = await once("GET", "/api/session");
  if (session && now.name !== session.name) throw new OtherAccount(now.name);
  session = { ...session, ...now };
  return session;
}

// The session, or null where nobody is signed in.
export async function sessionOrNull() {
  try {
    return await readSession();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null;
    throw error;
  }
}

export async function signIn(name, password) {
  const before = session;
  const now = await once("POST", "/api/session", { name, password });
  if (before && now.name !== before.name) throw new OtherAccount(now.name);
  session = { ...before, ...now };
  return session;
}

export async function accept(body) {
  session = await once("POST", "/api/session/accept", body);
  return session;
}

export async function signOut() {
  await call("DELETE", "/api/session");
  session = null;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const patch = (path, body) => call("PATCH", path, body);
export const replace = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

// As `once`, and where the session has run out or was renewed in another tab, puts that right and tries once more.
export async function call(method, path, body) {
  try {
    return await once(method, path, body);
  } catch (error) {
    if (!(error instanceof Refused) || !(await mended(error, method))) throw error;
    return once(method, path, body);
  }
}

async function mended(error, method) {
  if (error.status === 401 && signInAgain) {
    await signInAgain();
    return true;
  }
  if (error.status !== 403 || method === "GET" || !session) return false;
  const before = session.csrf;
  return (await readSession()).csrf !== before;
}

async function once(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET" && session?.csrf) headers["X-CSRF-Token"] = session.csrf;
  const raw = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = raw ? "application/octet-stream" : "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      body: body === undefined ? undefined : raw ? body : JSON.stringify(body),
    });
  } catch {
    throw new Unreachable();
  }
  return read(response);
}

async function read(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  let text;
  try {
    text = await response.text();
  } catch {
    throw new Unreachable(); // the connection broke in the middle of the answer
  }
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    if (response.ok) throw new Unreachable(); // something between us and the server answered in its place
  }
  if (!response.ok) throw new Refused(response.status, value?.error, retryAfter);
  return response.status === 204 ? { nothing: true, retryAfter, reason: response.headers.get("X-Reason") } : value;
}

// A file as a Blob, how many labels it holds, and how many it cannot; a refusal is a Refused.
export async function download(path) {
  const response = await fetch(path, { credentials: "same-origin", cache: "no-store" }).catch(() => {
    throw new Unreachable();
  });
  if (!response.ok) await read(response);
  const count = (name) => Number(response.headers.get(name) ?? 0);
  return { blob: await response.blob(), labels: count("X-Labels"), left: count("X-Not-Written") };
}

export const projectPath = (slug, rest = "") => `/api/projects/${encodeURIComponent(slug)}${rest}`;
