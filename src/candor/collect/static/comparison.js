// Which of two responses is better, and by how much: one group of radio buttons from "A much better" to "B much
// better".

import { h, letter, uid } from "./dom.js";

const DEGREES = { 3: "much better", 2: "better", 1: "slightly better" };

// The choices that a project offers, from left to right, each with the answer that it stands for.
export function choices({ ties, both_bad: bothBad, strength }) {
  const prefers = (best, degree) => ({
    id: `${letter(best)}${degree}`,
    best,
    degree,
    label: `${letter(best)} ${strength ? DEGREES[degree] : "better"}`,
    answer: { best, strength: degree, tie: false, both_bad: false },
  });
  const degrees = strength ? [3, 2, 1] : [1];
  const tie = { id: "tie", label: "Tie", degree: 0, answer: { best: null, strength: 1, tie: true, both_bad: false } };
  const bad = {
    id: "bad",
    label: "Both bad",
    degree: 0,
    answer: { best: null, strength: 1, tie: false, both_bad: true },
  };
  const scale = [
    ...degrees.map((d) => prefers(0, d)),
    ...(ties ? [tie] : []),
    ...degrees.toReversed().map((d) => prefers(1, d)),
  ];
  return { scale, apart: bothBad ? [bad] : [] };
}

export function comparison({ settings, onChange, onLocked }) {
  const { scale, apart } = choices(settings);
  const name = uid("choice");
  const inputs = new Map();
  let open = false;

  const option = (choice, key, kind) => {
    const input = h("input", {
      type: "radio",
      name,
      value: choice.id,
      class: "sr-input",
      onchange: onChange,
      "aria-keyshortcuts": key,
    });
    inputs.set(choice.id, { input, choice });
    const strength = h("span", { class: "strength", "aria-hidden": "true" }, "•".repeat(choice.degree));
    const side = choice.best === undefined ? "middle" : choice.best === 0 ? "left" : "right";
    return h(
      "label",
      { class: `option ${kind} ${side}` },
      input,
      h(
        "span",
        { class: "face" },
        h("span", { class: "words" }, choice.label),
        choice.best !== undefined && h("span", { class: "initial", "aria-hidden": "true" }, letter(choice.best)),
        strength,
        h("kbd", { "aria-hidden": "true" }, key),
      ),
    );
  };
  const fieldset = h(
    "fieldset",
    { class: "scale-set", disabled: true },
    h("legend", { class: "sr" }, "Which response is better?"),
    h(
      "p",
      { class: "scale-ends", "aria-hidden": "true" },
      h("span", {}, `← ${scale[0].label}`),
      h("span", {}, `${scale.at(-1).label} →`),
    ),
    h(
      "div",
      { class: "scale" },
      scale.map((choice, index) => option(choice, String(index + 1), "step")),
    ),
    apart.map((choice) => option(choice, "0", "apart")),
  );
  const chosen = () => [...inputs.values()].find(({ input }) => input.checked)?.choice ?? null;
  const choose = (choice) => {
    if (!open) return onLocked();
    const { input } = inputs.get(choice.id);
    input.checked = true;
    input.focus();
    onChange();
  };
  const bindings = [
    ...scale.map((choice, index) => ({ keys: [String(index + 1)], says: choice.label, act: () => choose(choice) })),
    ...apart.map((choice) => ({ keys: ["0"], says: choice.label, act: () => choose(choice) })),
  ];

  return {
    bar: fieldset,
    side: null,
    under: () => null,
    bindings,
    answer: () => chosen()?.answer ?? null,
    says: () => (chosen() ? `Your choice: ${chosen().label}` : "Which response is better?"),
    unlock: ({ all }) => {
      open = all;
      fieldset.disabled = !all;
    },
    restore: (answer) => {
      const same = [...inputs.values()].find(({ choice }) => JSON.stringify(choice.answer) === JSON.stringify(answer));
      if (same) same.input.checked = true;
    },
    tell: (answer) => choiceWords(answer),
  };
}

export function choiceWords({ best, tie, both_bad: bothBad }) {
  if (tie) return "a tie";
  if (bothBad) return "both are bad";
  return best === null || best === undefined ? "not known" : `response ${letter(best)}`;
}
