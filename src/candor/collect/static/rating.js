// A score from 1 to 5 for each response, in a group of radio buttons under it.

import { announce, h, letter, plural, uid } from "./dom.js";

const SCORES = [
  [1, "very bad"],
  [2, "bad"],
  [3, "fair"],
  [4, "good"],
  [5, "very good"],
];

export function rating({ responses, onChange, onLocked }) {
  const count = responses.length;
  const groups = responses.map((_, place) => makeGroup(place, () => onChange()));
  let seen = new Set();
  const scores = () => groups.map(({ inputs }) => Number(inputs.find((input) => input.checked)?.value ?? 0));

  // The response that a digit is for: the one that holds the focus, else the first without a score.
  function current() {
    const focused = groups.findIndex(({ fieldset }) => fieldset.parentElement?.contains(document.activeElement));
    if (focused >= 0) return focused;
    const open = scores().indexOf(0);
    return open < 0 ? count - 1 : open;
  }

  function score(value) {
    const place = current();
    if (!seen.has(place)) return onLocked(place);
    const input = groups[place].inputs[value - 1];
    input.checked = true;
    const next = scores().indexOf(0);
    announce(`Response ${letter(place)}: ${value}, ${SCORES[value - 1][1]}${next < 0 ? ". All are rated" : ""}`);
    if (next >= 0 && seen.has(next)) goTo(next);
    else input.focus();
    onChange();
  }

  function goTo(place) {
    const { fieldset, inputs } = groups[place];
    const target = inputs.find((input) => input.checked) ?? inputs[0];
    if (!fieldset.disabled) target.focus();
    else fieldset.parentElement.querySelector(".response-title")?.focus();
    fieldset.parentElement.scrollIntoView({ block: "nearest" });
  }

  return {
    bar: null,
    side: null,
    under: (place) => groups[place].fieldset,
    bindings: [
      ...SCORES.map(([value, words]) => ({
        keys: [String(value)],
        says: `${value}: ${words}`,
        act: () => score(value),
      })),
      ...groups.map((_, place) => ({
        keys: [letter(place).toLowerCase()],
        says: `Go to response ${letter(place)}`,
        act: () => goTo(place),
      })),
    ],
    answer: () => (scores().includes(0) ? null : { scores: scores() }),
    draft: () => ({ scores: scores() }),
    says: () => {
      const left = scores().filter((value) => value === 0).length;
      return left ? `${plural(left, "response")} without a score` : "All are rated";
    },
    unlock: ({ places }) => {
      seen = places;
      groups.forEach(({ fieldset }, place) => {
        fieldset.disabled = !places.has(place);
      });
    },
    restore: (answer) =>
      (answer?.scores ?? []).forEach((value, place) => {
        const input = groups[place]?.inputs[value - 1];
        if (input) input.checked = true;
      }),
    tell: (answer) => (answer.scores ?? []).map((value, place) => `${letter(place)} ${value}`).join(", "),
  };
}

function makeGroup(place, onChange) {
  const name = uid("score");
  const inputs = [];
  const fieldset = h(
    "fieldset",
    { class: "scores", disabled: true },
    h("legend", {}, "How good is ", h("span", { class: "sr" }, "response "), letter(place), "?"),
    h(
      "div",
      { class: "score-row" },
      SCORES.map(([value, words]) => {
        const input = h("input", { type: "radio", name, value, class: "sr-input", onchange: onChange });
        inputs.push(input);
        return h(
          "label",
          { class: "option score" },
          input,
          h("span", { class: "face" }, h("span", { class: "digit" }, value), h("span", { class: "words" }, words)),
        );
      }),
    ),
  );
  return { fieldset, inputs };
}
