// How long somebody looked: seconds on screen, without pauses, other tabs and idleness beyond a minute.

const IDLE_AFTER = 60_000;
const ACTIVITY = ["pointermove", "pointerdown", "keydown", "wheel", "touchmove", "scroll"];

export class Stopwatch {
  #last;
  #active;
  #holds = new Set();

  constructor({ now = () => performance.now(), saved = null } = {}) {
    this.now = now;
    Object.assign(this, { total: 0, visible: 0, focusLost: 0, ready: null }, saved);
    this.#last = this.#active = now();
    if (document.visibilityState === "hidden") this.#holds.add("hidden");
    this.away = document.visibilityState === "hidden" || !document.hasFocus();
  }

  // Counts what has passed since the last look.
  look() {
    const now = this.now();
    const passed = now - this.#last;
    const idleFrom = this.#active + IDLE_AFTER;
    this.total += passed;
    if (this.#holds.size === 0) {
      this.visible += Math.max(0, Math.min(now, Math.max(idleFrom, this.#last)) - this.#last);
    }
    this.#last = now;
    return this;
  }

  // Holds the clock for a reason (a pause, an open dialog, another tab) until it is let go.
  hold(reason) {
    this.look();
    this.#holds.add(reason);
  }

  letGo(reason) {
    this.look();
    this.#holds.delete(reason);
    this.#active = this.now();
  }

  get idle() {
    return this.now() - this.#active > IDLE_AFTER;
  }

  acted() {
    this.look();
    this.#active = this.now();
  }

  left() {
    if (!this.away) this.focusLost += 1;
    this.away = true;
  }

  back() {
    this.acted();
    this.away = false;
  }

  // The page went behind another tab, or came back: what passed so far counts as it was.
  hidden(is) {
    if (is) {
      this.hold("hidden");
      this.left();
    } else {
      this.letGo("hidden");
      this.back();
    }
  }

  // Answers opened: said once.
  opened() {
    this.ready ??= this.look().total;
  }

  // As the API takes it, in seconds.
  report() {
    this.look();
    const seconds = (ms) => Math.round(ms) / 1_000;
    return {
      total: seconds(this.total),
      visible: seconds(this.visible),
      ready: seconds(this.ready ?? this.total),
      focus_lost: this.focusLost,
    };
  }

  // What a reload keeps.
  save() {
    const { total, visible, focusLost, ready } = this.look();
    return { total, visible, focusLost, ready };
  }
}

// Feeds the page's events to whichever stopwatch runs now.
export function watchPage(current) {
  for (const kind of ACTIVITY) {
    window.addEventListener(kind, () => current()?.acted(), { passive: true, capture: true });
  }
  document.addEventListener("visibilitychange", () => current()?.hidden(document.visibilityState === "hidden"));
  window.addEventListener("blur", () => current()?.left());
  window.addEventListener("focus", () => current()?.back());
}
