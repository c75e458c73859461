// Numbers on the dashboard: none without its n and interval, where the server gives them.

import { h } from "../dom.js";

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export function number(value, digits = 2) {
  if (!isNumber(value)) return "–";
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(digits);
}

export const percent = (value) => (isNumber(value) ? `${Math.round(value * 100)}%` : "–");

export const day = (seconds) => new Date(seconds * 1_000).toLocaleDateString();
export const moment = (seconds) => new Date(seconds * 1_000).toLocaleString();

// {estimate, low, high, n} as text and as a bar from `from` to `to`; `zero` marks no effect.
export function interval(value, { from = 0, to = 1, zero = null, show = number } = {}) {
  if (value === null || value === undefined) return "–";
  if (isNumber(value)) return show(value);
  const { estimate, low, high, n } = value;
  if (!isNumber(estimate)) return h("span", { class: "hint" }, n === 0 ? "no data yet" : "–");
  const known = isNumber(low) && isNumber(high);
  return h(
    "span",
    { class: "interval" },
    show(estimate),
    isNumber(n) && h("span", { class: "range" }, ` n ${n}`),
    known && h("span", { class: "range limits" }, `${show(low)} to ${show(high)}`),
    known && bar({ estimate, low, high, from, to, zero }),
  );
}

function bar({ estimate, low, high, from, to, zero }) {
  const at = (value) => 3 + 90 * Math.max(0, Math.min(1, (value - from) / (to - from)));
  const line = (name, x1, x2, y1 = 7, y2 = 7) => svg("line", { class: name, x1, x2, y1, y2 });
  return svg(
    "svg",
    { viewBox: "0 0 96 14", "aria-hidden": "true" },
    line("axis", 3, 93),
    zero !== null && line("zero", at(zero), at(zero), 1, 13),
    line("span", at(low), at(high)),
    svg("circle", { class: "point", cx: at(estimate), cy: 7, r: 3.5 }),
  );
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter(Boolean));
  return element;
}

// rows: lists of cells (text or nodes); the first cell of each names its row. notes: what stands under a row, by index.
export function table({ caption, columns, rows, wide = [], notes = [], empty = "Nothing yet." }) {
  if (!rows.length) return h("p", { class: "hint" }, empty);
  const cell = (value, index) =>
    index === 0
      ? h("th", { scope: "row" }, value ?? "")
      : h("td", { class: wide.includes(index) ? "wide" : null }, value ?? "–");
  return h(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "sr" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row, index) => [
          h("tr", { class: notes[index] ? "noted" : null }, row.map(cell)),
          notes[index] && h("tr", { class: "note" }, h("td", { colspan: columns.length }, notes[index])),
        ]),
      ),
    ),
  );
}

// figures: [["Labels", "12", "of 40"], ...]
export function figures(list) {
  return h(
    "dl",
    { class: "figures" },
    list.map(([name, value, of]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, value, of && h("span", { class: "of" }, ` ${of}`))),
    ),
  );
}

const GOOD = new Set(["ok", "pass", "passes", "good", "reliable", "fine", "clear", "none", "no concern"]);
const BAD = new Set(["fail", "fails", "bad", "concern", "blocked", "flag", "flagged", "unreliable"]);

export function verdict(value) {
  if (value === true) return h("span", { class: "tag good" }, "passes");
  if (value === false) return h("span", { class: "tag bad" }, "fails");
  const words = value ?? "not known yet";
  const lower = String(words).toLowerCase();
  return h(
    "span",
    { class: `tag ${GOOD.has(lower) ? "good" : BAD.has(lower) ? "bad" : ""}` },
    String(words).replaceAll("_", " "),
  );
}
