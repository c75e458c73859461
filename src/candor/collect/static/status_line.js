// One line that says where the answers are: all stored, on their way, or kept on this device until the server is back.

import { fill, h, plural } from "./dom.js";
import { openDialog } from "./dialogs.js";

export function statusLine(outbox) {
  const words = h("span", {});
  const retry = h("button", { type: "button", class: "link", hidden: true, onclick: () => outbox.flush() }, "Try now");
  const kept = h("button", { type: "button", class: "link", hidden: true, onclick: () => showAside(outbox) });
  const element = h(
    "p",
    { class: "status-line", role: "status" },
    h("span", { class: "dot", "aria-hidden": "true" }),
    words,
    " ",
    retry,
    " ",
    kept,
  );
  const show = () => {
    const waiting = outbox.pending().length;
    const refused = outbox.aside().length;
    element.dataset.state = waiting === 0 ? (refused ? "aside" : "stored") : outbox.state;
    const said = sentence(outbox, waiting);
    if (words.textContent !== said) words.textContent = said; // the same words again would be read out again
    retry.hidden = waiting === 0 || outbox.state === "sending" || outbox.state === "other-account";
    kept.hidden = refused === 0;
    fill(kept, `${plural(refused, "answer")} the server did not take`);
  };
  outbox.addEventListener("change", show);
  show();
  return element;
}

function sentence(outbox, waiting) {
  if (waiting === 0) return "All answers are stored.";
  const answers = plural(waiting, "answer");
  const where = outbox.safe ? "kept on this device" : "kept in this page only: do not close it";
  if (outbox.state === "offline") return `Offline. ${answers} ${where}; sent as soon as the server can be reached.`;
  if (outbox.state === "waiting") return `${answers} ${where}; the server asks to wait (${outbox.problem}).`;
  if (outbox.state === "other-account") {
    return `${outbox.problem} is signed in on this browser now. ${answers} of yours stay here until you sign in again.`;
  }
  return `Sending ${answers} …`;
}

function showAside(outbox) {
  const list = h(
    "ul",
    { class: "plain-list" },
    outbox.aside().map((entry) =>
      h(
        "li",
        {},
        h("p", {}, new Date(entry.written).toLocaleString(), ": ", entry.error),
        h("details", {}, h("summary", {}, "What was to be sent"), h("pre", {}, JSON.stringify(entry.body, null, 2))),
        h(
          "button",
          {
            type: "button",
            onclick: (event) => {
              outbox.forget(entry.body.submission_id);
              event.target.closest("li").remove();
            },
          },
          "Forget it",
        ),
      ),
    ),
  );
  openDialog({
    title: "Answers the server did not take",
    body: [
      h("p", {}, "They are kept on this device. Show them to whoever leads the project before you forget them."),
      list,
    ],
  });
}
