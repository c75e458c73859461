// No label is lost: what somebody decided is written down here before it is sent, and struck out only when the server
// has said that it is stored. It survives a reload, an expired login and being offline.
//
// One entry of localStorage per submission, so that two tabs never write the same value. Entries carry the account's
// name: whoever signs in next on this browser neither sees nor sends them. Two tabs may send the same entry; its id
// makes the second time harmless.

import { OtherAccount, Refused, Unreachable, call, projectPath } from "./api.js";
import { lasting, local } from "./storage.js";

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 60_000;

export class Outbox extends EventTarget {
  #waiting = new Map(); // id -> resolve, of those whose answer somebody on this page waits for
  #memory = new Map(); // entries that the browser's storage did not take
  #busy = null;
  #timer = null;
  #wait = FIRST_WAIT;

  constructor({ account, storage = local, send = call }) {
    super();
    Object.assign(this, { account, storage, send, state: "idle", problem: "" });
    this.prefix = `candor:outbox:${encodeURIComponent(account)}:`;
    this.asidePrefix = `candor:aside:${encodeURIComponent(account)}:`;
    window.addEventListener("online", () => this.flush());
    window.addEventListener("storage", (event) => {
      if (event.key === null || event.key.startsWith("candor:")) this.#tell();
    });
  }

  // Writes it down, sends it, and resolves with {receipt} or {refused} once the server has answered, however long that
  // takes.
  submit(slug, body) {
    const entry = { account: this.account, slug, body, written: Date.now() };
    this.#write(entry);
    const answered = new Promise((resolve) => this.#waiting.set(body.submission_id, { resolve, entry }));
    this.flush();
    return answered;
  }

  pending() {
    const found = new Map(this.#memory);
    for (const entry of this.#stored(this.prefix)) found.set(entry.body.submission_id, entry);
    for (const [id, { entry }] of this.#waiting) found.set(id, entry);
    return [...found.values()].sort((a, b) => a.written - b.written);
  }

  // Whether all that is written down would outlive this page.
  get safe() {
    return this.#memory.size === 0 && (lasting || this.storage !== local);
  }

  // What the server refused for good (another body under the same id, a task of somebody else): kept, and told.
  aside() {
    return this.#stored(this.asidePrefix);
  }

  forget(id) {
    this.storage.removeItem(this.asidePrefix + id);
    this.#tell();
  }

  // Sends what is there, oldest first; resolves when all is sent or there is no getting on now.
  flush() {
    clearTimeout(this.#timer);
    this.#busy ??= this.#sendAll().finally(() => {
      this.#busy = null;
      this.#tell();
    });
    return this.#busy;
  }

  async #sendAll() {
    const tried = new Set();
    for (;;) {
      const entry = this.pending().find(({ body }) => !tried.has(body.submission_id));
      if (!entry) break;
      tried.add(entry.body.submission_id);
      this.#set("sending");
      if (!(await this.#sendOne(entry))) return;
    }
    this.#set("idle");
    this.#wait = FIRST_WAIT;
  }

  // False: stop here and try again later.
  async #sendOne(entry) {
    const id = entry.body.submission_id;
    try {
      const receipt = await this.send("POST", projectPath(entry.slug, "/submissions"), entry.body);
      this.#strike(id);
      this.#answer(id, { receipt });
      return true;
    } catch (error) {
      if (error instanceof OtherAccount) return (this.#set("other-account", error.name_now), false);
      if (
        error instanceof Unreachable ||
        (error instanceof Refused && (error.passing || error.status === 401 || error.status === 403))
      ) {
        this.#later(error);
        return false;
      }
      if (!(error instanceof Refused)) throw error;
      this.#putAside(entry, error);
      this.#answer(id, { refused: error });
      return true;
    }
  }

  #later(error) {
    this.#set(error instanceof Unreachable ? "offline" : "waiting", error.message);
    const wait = Math.max(this.#wait, (error.retryAfter ?? 0) * 1_000);
    this.#timer = setTimeout(() => this.flush(), wait * (0.8 + 0.4 * Math.random()));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }

  #answer(id, outcome) {
    this.#waiting.get(id)?.resolve(outcome);
    this.#waiting.delete(id);
    this.#tell();
  }

  #write(entry) {
    try {
      this.storage.setItem(this.prefix + entry.body.submission_id, JSON.stringify(entry));
    } catch {
      this.#memory.set(entry.body.submission_id, entry); // full or forbidden: the status line says so
    }
    this.#tell();
  }

  #strike(id) {
    this.#memory.delete(id);
    this.storage.removeItem(this.prefix + id);
  }

  #putAside(entry, error) {
    const id = entry.body.submission_id;
    try {
      this.storage.setItem(
        this.asidePrefix + id,
        JSON.stringify({ ...entry, error: error.message, status: error.status }),
      );
      this.#strike(id);
    } catch {
      this.#memory.delete(id); // no room for a second copy: the first one stays where it is
    }
  }

  #stored(prefix) {
    const entries = [];
    for (let index = 0; index < this.storage.length; index += 1) {
      const key = this.storage.key(index);
      if (!key?.startsWith(prefix)) continue;
      try {
        const entry = JSON.parse(this.storage.getItem(key));
        if (entry?.account === this.account && entry.body?.submission_id) entries.push(entry);
      } catch {
        // not ours: left alone
      }
    }
    return entries.sort((a, b) => a.written - b.written);
  }

  #set(state, problem = "") {
    Object.assign(this, { state, problem });
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
