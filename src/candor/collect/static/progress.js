// How far one has come in a project.

import { fill, h, uid } from "./dom.js";

export function progress() {
  const id = uid("progress");
  const meter = h("progress", { max: "1", value: "0", "aria-labelledby": id });
  const words = h("span", { id, class: "progress-words" });
  const element = h("div", { class: "progress", hidden: true }, meter, words);
  let now = { done: 0, skipped: 0, left: null };

  function show({ done, skipped, left }) {
    now = { done: done ?? 0, skipped: skipped ?? 0, left: left ?? null };
    element.hidden = false;
    const all = now.done + (now.left ?? 0);
    meter.hidden = now.left === null;
    meter.max = Math.max(all, 1);
    meter.value = now.done;
    fill(words, now.left === null ? `${now.done} done` : `${now.done} of ${all}`);
  }

  return {
    element,
    show,
    step: (kind) => {
      const by = kind === "undo" ? -1 : 1;
      const open = kind === "practice" ? 0 : by; // practice is not among what is left
      show({
        ...now,
        done: now.done + (kind === "skip" ? 0 : by),
        left: now.left === null ? null : Math.max(0, now.left - open),
      });
    },
  };
}
