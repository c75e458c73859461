// Dialogs: the browser's own <dialog> keeps the focus inside, closes with Escape and gives the focus back.

import { OtherAccount, Refused, sessionOrNull, signIn } from "./api.js";
import { fill, h, put, uid } from "./dom.js";

// body: nodes. Resolves with what close(value) was given, or null where it was dismissed.
export function openDialog({ title, body, kind = "", dismissable = true, onOpen }) {
  const id = uid("dialog");
  const element = h("dialog", { class: kind, "aria-labelledby": id });
  let value = null;
  const close = (given = null) => {
    value = given;
    element.close();
  };
  const shut =
    dismissable &&
    h("button", { type: "button", class: "quiet close", onclick: () => close(), "aria-label": "Close" }, "×");
  put(element, h("div", { class: "dialog-head" }, h("h2", { id, tabindex: "-1" }, title), shut), body);
  element.addEventListener("cancel", (event) => {
    if (!dismissable) event.preventDefault();
  });
  element.addEventListener("keydown", (event) => {
    if (!dismissable && event.key === "Escape") event.preventDefault();
  });
  if (dismissable)
    element.addEventListener("click", (event) => {
      if (event.target === element && outside(element, event)) close();
    });
  const closed = new Promise((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      resolve(value);
    });
  });
  document.body.append(element);
  element.showModal();
  (element.querySelector("[autofocus]") ?? element.querySelector("h2")).focus();
  onOpen?.({ element, close });
  return { element, close, closed };
}

function outside(element, event) {
  const box = element.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

// Resolves with true where the person agreed.
export async function confirmed(title, words, act = "Yes") {
  const yes = h("button", { type: "button", class: "primary" }, act);
  const no = h("button", { type: "button", autofocus: true }, "Cancel");
  const dialog = openDialog({
    title,
    body: [h("p", {}, words), h("div", { class: "actions" }, no, yes)],
    kind: "small",
  });
  yes.addEventListener("click", () => dialog.close(true));
  no.addEventListener("click", () => dialog.close(false));
  return (await dialog.closed) === true;
}

export function field(label, attributes = {}, hint = "") {
  const id = uid("field");
  const hintId = hint ? `${id}-hint` : null;
  const tag = attributes.tag ?? "input";
  const { tag: _, options, ...rest } = attributes;
  const input = h(tag, { id, name: attributes.name, "aria-describedby": hintId, ...rest });
  for (const option of options ?? []) {
    const [value, words] = Array.isArray(option) ? option : [option, option];
    input.append(h("option", { value, selected: value === attributes.value }, words));
  }
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint && h("p", { id: hintId, class: "hint" }, hint),
  );
  return { element, input };
}

// A form whose failure is said in it, with the focus on what was said.
export function form({ fields, act, label, kind = "primary", className = "" }) {
  const problem = h("p", { class: "problem", role: "alert", hidden: true, tabindex: "-1" });
  const button = h("button", { type: "submit", class: kind }, label);
  const element = h(
    "form",
    { class: `form ${className}`.trim(), novalidate: false },
    problem,
    fields,
    h("div", { class: "actions" }, button),
  );
  const fail = (words) => {
    fill(problem, words);
    problem.hidden = false;
    problem.focus();
  };
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    problem.hidden = true;
    try {
      await act(fail);
    } catch (error) {
      fail(error.message);
      if (!(error instanceof Error)) throw error;
    } finally {
      button.disabled = false;
    }
  });
  return { element, button, fail };
}

let asking = null;

// The session has run out: signs in on the spot, so that nothing on the page is lost. One dialog, whoever asks.
export function askToSignIn(account) {
  asking ??= showSignIn(account).finally(() => {
    asking = null;
  });
  return asking;
}

async function showSignIn(account) {
  const name = field("Name", { value: account, readonly: true, autocomplete: "username" });
  const password = field("Password", {
    type: "password",
    autocomplete: "current-password",
    required: true,
    autofocus: true,
  });
  let dialog = null;
  const { element } = form({
    fields: [name.element, password.element],
    label: "Sign in",
    act: async (fail) => {
      try {
        await signIn(account, password.input.value);
        dialog.close(true);
      } catch (error) {
        if (error instanceof OtherAccount) location.reload();
        else if (error instanceof Refused && error.status === 401) fail("Name and password do not match.");
        else throw error;
      }
    },
  });
  dialog = openDialog({
    title: "Please sign in again",
    kind: "small",
    dismissable: false,
    body: [
      h(
        "p",
        {},
        "Your session has run out. What you have decided is kept on this device and is sent once you are signed in.",
      ),
      element,
      h(
        "p",
        { class: "hint" },
        h("a", { href: "/" }, `Not ${account}? Sign in as somebody else`),
        ": these answers stay here for you.",
      ),
    ],
  });
  // Signed in again in another tab: nothing is left to ask.
  const look = async () => {
    const now = await sessionOrNull().catch(() => null);
    if (now?.name === account) dialog.close(true);
  };
  window.addEventListener("focus", look);
  await dialog.closed;
  window.removeEventListener("focus", look);
}
