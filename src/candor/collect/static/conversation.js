// What is judged: the conversation so far, and the responses side by side.

import { h, letter, rich } from "./dom.js";

const SPEAKERS = { system: "Instructions to the model", user: "User", assistant: "Model" };

export function conversation(messages) {
  return h(
    "ol",
    { class: "conversation" },
    messages.map((message) =>
      h(
        "li",
        { class: `message ${message.role}` },
        h("p", { class: "speaker" }, SPEAKERS[message.role] ?? message.role),
        rich(h("div", { class: "prose" }), message.html, message.text),
      ),
    ),
  );
}

// Returns the list of responses and, by place, each article and the mark after its text.
export function responses(given, { under = () => null } = {}) {
  const articles = [];
  const marks = [];
  given.forEach((response, place) => {
    const id = `response-${letter(place)}`;
    const mark = h("span", { class: "end-mark", "aria-hidden": "true" });
    const article = h(
      "article",
      { class: "response", "aria-labelledby": id, "data-place": place },
      h(
        "h2",
        { id, tabindex: "-1", class: "response-title" },
        h("span", { class: "sr" }, "Response "),
        h("span", { class: "letter" }, letter(place)),
      ),
      rich(h("div", { class: "prose" }), response.html, response.text),
      mark,
      under(place),
    );
    articles.push(article);
    marks.push(mark);
  });
  return { element: h("div", { class: `responses of-${given.length}` }, articles), articles, marks };
}
