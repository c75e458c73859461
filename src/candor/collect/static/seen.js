// Which responses have been on screen to their end. A mark stands after each; it counts when it comes into view, above
// the bar that covers the bottom of the window, or when the page was scrolled past it.

export class Seen {
  #observer = null;
  #marks = new Map();

  constructor({ count, places = [], onChange }) {
    this.count = count;
    this.places = new Set(places);
    this.onChange = onChange;
  }

  get all() {
    return this.places.size >= this.count;
  }

  get missing() {
    return Array.from({ length: this.count }, (_, place) => place).filter((place) => !this.places.has(place));
  }

  // marks: the element after each response, by place. covered: pixels of the window's bottom that a bar hides.
  watch(marks, covered = 0) {
    this.stop();
    this.#marks = new Map(marks.map((mark, place) => [mark, place]));
    this.#observer = new IntersectionObserver((entries) => this.#look(entries), {
      rootMargin: `0px 0px ${-Math.round(covered)}px 0px`,
    });
    for (const mark of marks) this.#observer.observe(mark);
  }

  stop() {
    this.#observer?.disconnect();
    this.#observer = null;
  }

  #look(entries) {
    if (document.visibilityState !== "visible") return;
    const before = this.places.size;
    for (const entry of entries) {
      const hidden = entry.target.getClientRects().length === 0; // a pause hides the responses
      const passed = entry.boundingClientRect.bottom < 0;
      if (!hidden && (entry.isIntersecting || passed)) this.places.add(this.#marks.get(entry.target));
    }
    if (this.places.size !== before) this.onChange();
  }
}
