// What surrounds a task: the bar with progress and buttons, and the line that says where the answers are.

import { confirmed } from "./dialogs.js";
import { h } from "./dom.js";
import { statusLine } from "./status_line.js";
import { topBar } from "./top_bar.js";

// acts: {undo, pause, instructions, help}. Returns the buttons by these names.
export function labelBar({ mine, outbox, progress, acts }) {
  const buttons = {};
  const button = (name, words, key) => {
    buttons[name] = h(
      "button",
      { type: "button", class: "quiet", onclick: acts[name], "aria-keyshortcuts": key },
      words,
    );
    return buttons[name];
  };
  const unsent = "Some answers have not been sent yet. They stay on this device until you sign in here again.";
  topBar({
    title: mine.title,
    middle: progress,
    actions: [
      button("undo", "Undo", "u"),
      button("pause", "Pause", "p"),
      button("instructions", "Instructions", "i"),
      button("help", "Keys", "?"),
    ],
    onSignOut: async () => !outbox.pending().length || confirmed("Sign out?", unsent, "Sign out"),
  });
  document.body.append(h("footer", { class: "foot" }, statusLine(outbox)));
  buttons.undo.disabled = true;
  return buttons;
}

// The keys that always hold.
export function always(acts) {
  return [
    { keys: ["u"], says: "Undo the last answer", act: acts.undo },
    { keys: ["p"], says: "Pause, and go on", act: acts.pause },
    { keys: ["i"], says: "Instructions and examples", act: acts.instructions },
    { keys: ["?"], says: "These keys", act: acts.help },
  ];
}
