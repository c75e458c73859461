// How far a project has come.

import { get, patch } from "../api.js";
import { h } from "../dom.js";
import { figures, number } from "./numbers.js";

export async function progressView({ path, again }) {
  const project = await get(path(""));
  const counts = project.counts ?? {};
  const { labels = 0, wanted = 0 } = counts;
  const open = async () => {
    await patch(path(""), { batch: project.batch + 1 });
    await again();
  };
  return [
    h("progress", {
      class: "wide-bar",
      max: Math.max(wanted, 1),
      value: Math.min(labels, wanted || 1),
      "aria-label": "Labels given",
    }),
    figures([
      ["Labels", number(labels), `of ${number(wanted)}`],
      ["Items complete", number(counts.complete), `of ${number(counts.items)}`],
      ["Annotators", number(counts.annotators)],
      ["Being judged now", number(counts.leased)],
      ["Skips", number(counts.skips)],
      ["Retests", number(counts.retests)],
      ["Gold answers", number(counts.gold_answers), `from ${number(counts.gold)} items`],
      ["Calibration items", number(counts.calibration)],
      ["Surplus answers, kept", number(counts.surplus)],
      ["Taken back", number(counts.undone)],
    ]),
    h(
      "section",
      { class: "block" },
      h("h3", {}, `Batch ${project.batch}`),
      h(
        "p",
        { class: "hint" },
        "Items of this batch and of earlier ones are handed out. Open the next one once the gate has passed this one.",
      ),
      h("button", { type: "button", onclick: open }, `Open batch ${project.batch + 1}`),
    ),
  ];
}
