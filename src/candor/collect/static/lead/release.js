// Whether a batch may be released, and what its annotators are owed.

import { get } from "../api.js";
import { field } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { people } from "./quality.js";
import { number, table, verdict } from "./numbers.js";

export async function gateView({ path, project }) {
  const result = h("div", { "aria-live": "polite" });
  const batch = field("Batch", {
    tag: "select",
    options: [
      ["", "All of them"],
      ...Array.from({ length: project.batch }, (_, index) => [String(index + 1), `Batch ${index + 1}`]),
    ],
    value: String(project.batch),
  });
  const show = async () => {
    try {
      const gate = await get(path(`/gate${batch.input.value ? `?batch=${batch.input.value}` : ""}`));
      fill(result, said(gate));
    } catch (error) {
      fill(result, h("p", { class: "problem", role: "alert" }, error.message));
    }
  };
  batch.input.addEventListener("change", show);
  await show();
  return [
    h("p", { class: "lede" }, "What the labels have to reach before they are used. The bounds are in the settings."),
    h("div", { class: "toolbar" }, batch.element),
    result,
  ];
}

function said(gate) {
  const open = (gate.checks ?? []).some(({ passes }) => passes === null);
  const words = gate.passes
    ? "This batch passes."
    : open && !(gate.checks ?? []).some(({ passes }) => passes === false)
      ? "This batch cannot be judged yet: it does not pass."
      : "This batch does not pass.";
  return [
    h("p", { class: `banner ${gate.passes ? "good" : "bad"}` }, words),
    h(
      "ul",
      { class: "checks" },
      (gate.checks ?? []).map((check) =>
        h(
          "li",
          {},
          h("div", {}, verdict(check.passes)),
          h(
            "div",
            {},
            h("strong", {}, check.title ?? check.name),
            check.meaning && h("p", {}, check.meaning),
            bound(check.bound),
          ),
        ),
      ),
    ),
  ];
}

function bound(value) {
  if (value === null || value === undefined) return null;
  return h("p", { class: "hint" }, `Bound: ${typeof value === "number" ? number(value) : value}`);
}

export async function payView({ path }) {
  const [pay, names] = await Promise.all([get(path("/pay")), people(path)]);
  const rows = (pay.rows ?? []).map((row) => [
    names(row.name),
    number(row.judgements),
    number(row.skips),
    number(row.minutes, 1),
    money(row.amount, pay.currency),
    money(row.hourly, pay.currency),
  ]);
  return [
    h(
      "p",
      { class: "lede" },
      pay.rule ??
        "Paid by the minutes that an item is expected to take, skips included; never by agreement with others.",
    ),
    table({
      caption: "Pay",
      columns: ["Name", "Judgements", "Skips", "Expected minutes", "Amount", "Effective, per hour"],
      rows,
      empty: "Nobody has judged yet.",
    }),
  ];
}

const money = (value, currency) => (typeof value === "number" ? `${value.toFixed(2)} ${currency ?? ""}`.trim() : "–");
