// A project's settings. Only what was changed is sent.

import { get, patch } from "../api.js";
import { field, form } from "../dialogs.js";
import { h } from "../dom.js";

const WORDS = {
  overlap: ["Annotators per item"],
  cap: ["Most judgements of one annotator", "Empty: no limit."],
  pools: ["Pools of annotators", "Separated by commas."],
  lease_minutes: ["Minutes that a task is held"],
  uniform_share: ["Share of items drawn uniformly", "At least 0.25; the rest by expected information."],
  gold_rate: ["Share of gold items"],
  retest_rate: ["Share of retests"],
  retest_after_hours: ["Hours until a retest"],
  calibration: ["Begin with calibration items"],
  ties: ["Ties are allowed"],
  both_bad: ["“Both bad” is allowed"],
  strength: ["Choices have a strength"],
  skip_reasons: ["Reasons to skip", "One a line."],
  minimum_seconds: ["Seconds until answers open"],
  pay_per_hour: ["Pay per hour", "Empty: unpaid."],
  currency: ["Currency"],
  words_per_minute: ["Words read per minute", "For the expected minutes."],
  seconds_per_judgement: ["Seconds per judgement, besides reading"],
};
const GATE = {
  alpha_at_least: ["Alpha, at least"],
  flips_at_most: ["Retests flipped, at most"],
  traps_at_least: ["Traps right, at least"],
  coefficient_at_most: ["Bias in log odds, at most"],
  hourly_at_least: ["Effective pay per hour, at least", "Empty: the pay above."],
};

export async function settingsView({ path, update, again }) {
  const project = await get(path(""));
  const { gate = {}, ...settings } = project.settings;
  const title = field("Title", { value: project.title, required: true, maxlength: "200" });
  const instructions = field("Instructions, in Markdown", { tag: "textarea", rows: "10" });
  instructions.input.value = project.instructions ?? "";
  const [own, ofGate] = [controls(settings, WORDS), controls(gate, GATE)];
  const well = h("p", { class: "well whole", role: "status", hidden: true }, "Saved.");
  const group = (legend, list) =>
    h(
      "fieldset",
      { class: "whole" },
      h("legend", { class: "board-title" }, h("h3", {}, legend)),
      h("div", { class: "form grid-form" }, list),
    );
  const { element } = form({
    fields: [
      h("div", { class: "whole field-stack" }, title.element, instructions.element),
      group(
        "How items are handed out and judged",
        own.map(({ element: each }) => each),
      ),
      group(
        "The gate",
        ofGate.map(({ element: each }) => each),
      ),
      well,
    ],
    label: "Save",
    className: "grid-form",
    act: async () => {
      const changed = { ...changes(own, settings) };
      const inGate = changes(ofGate, gate);
      if (Object.keys(inGate).length) changed.gate = { ...gate, ...inGate };
      update(
        await patch(path(""), {
          title: title.input.value,
          instructions: instructions.input.value,
          ...(Object.keys(changed).length && { settings: changed }),
        }),
      );
      await again();
      const said = document.querySelector(".well.whole");
      said.hidden = false;
      said.scrollIntoView({ block: "nearest" });
    },
  });
  return element;
}

function controls(values, words) {
  return Object.entries(values).map(([name, value]) => {
    const [label, hint] = words[name] ?? [name.replaceAll("_", " ")];
    if (typeof value === "boolean") {
      const input = h("input", { type: "checkbox", checked: value });
      return { name, element: h("label", { class: "choice" }, input, h("span", {}, label)), read: () => input.checked };
    }
    if (Array.isArray(value)) {
      const lines = name === "skip_reasons";
      const made = field(label, lines ? { tag: "textarea", rows: "4" } : {}, hint);
      made.input.value = value.join(lines ? "\n" : ", ");
      return {
        name,
        element: made.element,
        read: () =>
          made.input.value
            .split(lines ? "\n" : ",")
            .map((each) => each.trim())
            .filter(Boolean),
      };
    }
    if (typeof value === "string") {
      const made = field(label, { value }, hint);
      return { name, element: made.element, read: () => made.input.value };
    }
    const made = field(
      label,
      { type: "number", step: "any", value: value ?? "", required: value !== null && !hint?.startsWith("Empty") },
      hint,
    );
    return { name, element: made.element, read: () => (made.input.value === "" ? null : Number(made.input.value)) };
  });
}

function changes(list, before) {
  const now = Object.fromEntries(list.map(({ name, read }) => [name, read()]));
  return Object.fromEntries(
    Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])),
  );
}
