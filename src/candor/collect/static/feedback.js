// After a calibration item: whether it was right, what would have been, and why. Resolves when the person goes on.

import { h, rich, uid } from "./dom.js";

export function feedback({ right, answer, why_html: why }, tell) {
  const id = uid("feedback");
  const next = h("button", { type: "button", class: "primary next" }, "Next");
  const element = h(
    "section",
    { class: `feedback ${right ? "right" : "wrong"}`, "aria-labelledby": id },
    h("h2", { id, tabindex: "-1" }, right ? "Right" : "Not what we were looking for"),
    answer && h("p", {}, "The answer: ", h("strong", {}, tell(answer)), "."),
    why && rich(h("div", { class: "prose" }), why),
    h("p", { class: "hint" }, "This was a practice item: it teaches, and it is not counted against you."),
    h("div", { class: "actions" }, next),
  );
  const gone = new Promise((resolve) => next.addEventListener("click", () => resolve()));
  return { element, gone, next, heading: element.querySelector("h2") };
}
