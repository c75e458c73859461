// What a labeller may want to look up: the keys, the instructions, worked examples.

import { openDialog } from "./dialogs.js";
import { h, letter, rich } from "./dom.js";
import { hotkeysOn, switchHotkeys } from "./keys.js";
import { conversation } from "./conversation.js";
import { local } from "./storage.js";

const NAMES = { " ": "Space", ArrowUp: "↑", ArrowDown: "↓" };

export function showHelp(bindings, extra) {
  const on = h("input", { type: "checkbox", checked: hotkeysOn(), onchange: () => switchHotkeys(on.checked) });
  return openDialog({
    title: "Keys",
    kind: "help",
    body: [
      h(
        "dl",
        { class: "keys" },
        bindings.map(({ keys, says }) =>
          h(
            "div",
            {},
            h(
              "dt",
              {},
              keys.map((key) => h("kbd", {}, NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key))),
            ),
            h("dd", {}, says),
          ),
        ),
      ),
      extra && h("p", {}, "On a focused card: ", extra),
      h(
        "label",
        { class: "choice" },
        on,
        h("span", {}, "Keys of one letter or digit are on. Switch them off if you use speech input."),
      ),
    ],
  }).closed;
}

// begin: the person is about to start, so that the way on stands at the end of the text.
export function showInstructions(mine, tell, { begin = false } = {}) {
  const start = h("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Start");
  const examples = mine.examples ?? [];
  const dialog = openDialog({
    title: "Instructions",
    kind: "side",
    body: [
      mine.instructions_html ? rich(h("div", { class: "prose" }), mine.instructions_html) : h("p", {}, defaults(mine)),
      examples.length > 0 && h("h3", {}, "Worked examples"),
      examples.map((example, index) =>
        h(
          "details",
          { class: "example", open: index === 0 },
          h("summary", {}, `Example ${index + 1}`),
          conversation(example.prompt ?? []),
          (example.responses ?? []).map((response, place) =>
            h(
              "div",
              { class: "example-response" },
              h("p", { class: "speaker" }, `Response ${letter(place)}`),
              rich(h("div", { class: "prose" }), response.html, response.text),
            ),
          ),
          example.answer && h("p", { class: "verdict" }, "Right: ", h("strong", {}, tell(example.answer))),
          example.why_html && rich(h("div", { class: "prose" }), example.why_html),
        ),
      ),
      begin && h("div", { class: "actions" }, start),
    ],
  });
  return dialog.closed;
}

function defaults({ task }) {
  return (
    {
      comparison: "Read both responses to the end and say which one helps the user more, and by how much.",
      ranking: "Read all responses to the end and rank them by how much they help the user, the best one first.",
      rating: "Read each response to the end and rate how much it helps the user, from 1 (very bad) to 5 (very good).",
    }[task] ?? ""
  );
}

// Whether somebody comes to a project for the first time on this browser.
export function firstVisit(name, slug) {
  const key = `candor:read:${encodeURIComponent(name)}:${slug}`;
  if (local.getItem(key)) return false;
  local.setItem(key, "yes");
  return true;
}
