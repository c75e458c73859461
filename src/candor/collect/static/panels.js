// What stands in a task's place: thanks at the end, what went wrong, and whose browser this is now.

import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";

// facts: lines of small print; again: what "Look again" does, if anything.
export function messagePanel({ title, words, facts = [], again = null }) {
  const heading = h("h1", { tabindex: "-1" }, title);
  const actions = [
    again && h("button", { type: "button", class: "primary", onclick: () => again() }, "Look again"),
    h("a", { class: "button", href: "/" }, "All projects"),
  ];
  const element = h(
    "section",
    { class: "message-panel" },
    heading,
    h("p", {}, words),
    facts.map((fact) => h("p", { class: "hint" }, fact)),
    h("div", { class: "actions" }, actions),
  );
  return { element, heading };
}

// There is no task now: why, and what has been done.
export function endPanel({ mine, retryAfter, reason, again }) {
  const { done = 0, skipped = 0, pay } = mine;
  const facts = [`You have judged ${done} and skipped ${skipped} in this project.`];
  if (pay)
    facts.push(`Expected time ${Math.round(pay.minutes)} minutes, ${Number(pay.amount).toFixed(2)} ${pay.currency}.`);
  if (mine.paused) {
    return messagePanel({
      title: "The project is paused",
      words: "Whoever leads it will start it again.",
      facts,
      again,
    });
  }
  const words = retryAfter
    ? `The next one is ready in about ${waitWords(retryAfter)}.`
    : `${sentence(reason ?? "there is nothing left for you to do here now")}.`;
  return messagePanel({ title: "Thank you: that is all for now", words, facts, again });
}

// Another person has signed in on this browser: this page stops.
export function someoneElse(name, owner) {
  if (document.querySelector("dialog.someone-else")) return;
  const kept = `Unsent answers stay on this device for ${owner} and are sent by nobody else.`;
  const go = h("button", { type: "button", class: "primary", onclick: () => location.reload() }, `Go on as ${name}`);
  openDialog({
    title: `${name} is signed in now`,
    kind: "small someone-else",
    dismissable: false,
    body: [h("p", {}, `This page belongs to ${owner}. ${kept}`), h("div", { class: "actions" }, go)],
  });
}

const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

function waitWords(seconds) {
  if (seconds < 90) return "a minute";
  if (seconds < 5_400) return `${Math.round(seconds / 60)} minutes`;
  return `${Math.round(seconds / 3_600)} hours`;
}
