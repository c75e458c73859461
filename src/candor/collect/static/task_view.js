// One task on screen: conversation, responses, the answer's controls, and what they still wait for.

import { comparison, choiceWords } from "./comparison.js";
import { conversation, responses } from "./conversation.js";
import { announce, fill, focusOn, h, letter } from "./dom.js";
import { ranking } from "./ranking.js";
import { rating } from "./rating.js";
import { Seen } from "./seen.js";
import { Stopwatch } from "./timing.js";

const WIDGETS = { comparison, ranking, rating };
const TITLES = { comparison: "Compare the two responses", ranking: "Rank the responses", rating: "Rate each response" };

export function tellAnswer(task) {
  if (task === "ranking") return (answer) => answer.order.map((group) => group.map(letter).join(" = ")).join(" > ");
  if (task === "rating")
    return (answer) => answer.scores.map((score, place) => `${letter(place)}: ${score}`).join(", ");
  return choiceWords;
}

export function taskView({ task, mine, draft, answer, onSubmit, onSkip, onChange }) {
  const settings = { ties: true, both_bad: true, strength: true, minimum_seconds: 0, ...mine.settings };
  const stopwatch = new Stopwatch({ saved: draft?.clock ?? null });
  const seen = new Seen({ count: task.responses.length, places: draft?.seen ?? [], onChange: () => refresh() });
  const widget = WIDGETS[mine.task]({
    settings,
    responses: task.responses,
    onChange: () => {
      refresh();
      onChange();
    },
    onLocked,
  });
  const shown = responses(task.responses, { under: widget.under });
  const heading = h(
    "h1",
    { tabindex: "-1", class: "task-title" },
    TITLES[mine.task],
    task.purpose === "calibration" && h("span", { class: "tag practice" }, "Practice"),
  );
  const why = h("p", { id: "why-closed", class: "why" });
  const goOn = h("button", { type: "button", class: "link", hidden: true, onclick: showMissing });
  const submit = h(
    "button",
    { type: "submit", class: "primary submit", "aria-describedby": "why-closed", "aria-keyshortcuts": "Enter" },
    "Submit",
  );
  const skip = h("button", { type: "button", class: "quiet", onclick: onSkip, "aria-keyshortcuts": "s" }, "Skip");
  const answerBar = h(
    "form",
    { class: "answer-bar", "aria-label": "Your answer", novalidate: true },
    widget.bar,
    h(
      "div",
      { class: "answer-row" },
      h("div", { class: "why-row" }, why, " ", goOn),
      h("div", { class: "actions" }, skip, submit),
    ),
  );
  answerBar.addEventListener("submit", (event) => {
    event.preventDefault();
    onSubmit();
  });
  const stage = h(
    "div",
    { class: "stage" },
    h("section", { class: "prompt", "aria-label": "Conversation" }, conversation(task.prompt)),
    h("section", { class: "responses-section", "aria-label": "Responses" }, shown.element),
    widget.side,
  );
  const curtain = h("section", { class: "curtain message-panel", hidden: true });
  const element = h("div", { class: `task ${mine.task}` }, heading, stage, curtain, answerBar);
  widget.restore(answer ?? draft?.answer);

  let open = false;
  let locked = false;
  let resize = null;

  // Why an answer cannot be given yet, or an empty string.
  function closed() {
    if (locked) return "It is being sent.";
    const { missing } = seen;
    if (missing.length) return `Read response ${missing.map(letter).join(" and ")} to the end first.`;
    const left = settings.minimum_seconds - stopwatch.look().visible / 1_000;
    if (left > 0) return `Answers open in ${Math.ceil(left)} s.`;
    return widget.answer() ? "" : widget.says();
  }

  function refresh() {
    const early = seen.all && settings.minimum_seconds * 1_000 - stopwatch.look().visible > 0;
    const opens = seen.all && !early && !locked;
    widget.unlock({ all: opens, places: locked ? new Set() : seen.places });
    if (opens && !open) stopwatch.opened();
    open = opens;
    const words = closed();
    const said = words || widget.says();
    if (why.textContent !== said) why.textContent = said;
    submit.setAttribute("aria-disabled", String(words !== ""));
    goOn.hidden = seen.all;
    if (!seen.all) fill(goOn, `Go to response ${letter(seen.missing[0])}`);
    shown.articles.forEach((article, place) => article.classList.toggle("seen", seen.places.has(place)));
  }

  function showMissing() {
    const article = shown.articles[seen.missing[0]];
    if (!article) return;
    article.scrollIntoView({ block: "start" });
    focusOn(article.querySelector(".response-title"));
  }

  function onLocked(place) {
    announce(place === undefined ? closed() : `Read response ${letter(place)} to the end first.`);
    pointOut();
  }

  function pointOut() {
    why.classList.remove("pointed");
    void why.offsetWidth; // starts the animation anew
    why.classList.add("pointed");
  }

  function watch() {
    const covered = getComputedStyle(answerBar).position === "sticky" ? answerBar.offsetHeight : 0;
    seen.watch(shown.marks, covered);
    // What gets the focus, and what a page down reveals, comes to lie above the bar.
    document.documentElement.style.scrollPaddingBottom = `${covered + 12}px`;
  }

  return {
    task,
    element,
    heading,
    widget,
    stopwatch,
    closed,
    pointOut,
    feedback: null,
    begin() {
      refresh();
      watch();
      resize = new ResizeObserver(watch);
      resize.observe(answerBar);
    },
    tick: () => {
      if (!open && !locked) refresh();
    },
    stop() {
      seen.stop();
      resize?.disconnect();
    },
    lock() {
      locked = true;
      element.classList.add("sending");
      refresh();
    },
    draft: () => ({ clock: stopwatch.save(), seen: [...seen.places], answer: widget.draft?.() ?? widget.answer() }),
    pause(on, goOnAgain) {
      stage.hidden = on;
      answerBar.hidden = on;
      curtain.hidden = !on;
      if (on) stopwatch.hold("pause");
      else stopwatch.letGo("pause");
      const button = h("button", { type: "button", class: "primary", onclick: goOnAgain }, "Go on");
      fill(
        curtain,
        h("h2", {}, "Paused"),
        h("p", {}, "The clock stands and the responses are hidden. Take your time."),
        h("div", { class: "actions" }, button),
      );
      if (on) button.focus();
      else focusOn(heading);
    },
    showFeedback(section) {
      element.classList.remove("sending");
      answerBar.replaceWith(section);
    },
  };
}
