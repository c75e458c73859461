// One's own account: the password, and API tokens.

import { currentSession, get, post, readSession, remove, replace } from "./api.js";
import { confirmed, field, form } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { day } from "./lead/numbers.js";
import { secret } from "./secret.js";
import { needSession, topBar } from "./top_bar.js";

const main = document.getElementById("main");
start();

async function start() {
  if (!(await needSession())) return;
  topBar({ title: "Account" });
  const { name, role } = currentSession();
  const tokens = h("div", {});
  fill(
    main,
    h("h1", {}, "Account"),
    h("p", { class: "lede" }, `You are signed in as ${name} (${role}).`),
    h("section", { class: "block" }, h("h2", {}, "Password"), passwordForm()),
    h(
      "section",
      { class: "block" },
      h("h2", {}, "API tokens"),
      h("p", { class: "hint" }, "A token does with the API what you may do here. Treat it like a password."),
      tokens,
    ),
  );
  await showTokens(tokens);
}

function passwordForm() {
  const { name } = currentSession();
  const user = h("input", {
    type: "text",
    autocomplete: "username",
    value: name,
    readonly: true,
    hidden: true,
    "aria-label": "Name",
  });
  const old = field("Password now", { type: "password", autocomplete: "current-password" });
  const fresh = field(
    "New password",
    { type: "password", autocomplete: "new-password", minlength: 12, required: true },
    "At least 12 characters. You are signed out everywhere else.",
  );
  const well = h("p", { class: "well", role: "status", hidden: true }, "The password is changed.");
  const { element } = form({
    fields: [well, user, old.element, fresh.element],
    label: "Change it",
    act: async () => {
      well.hidden = true;
      await replace("/api/session/password", {
        new: fresh.input.value,
        ...(old.input.value && { old: old.input.value }),
      });
      await readSession();
      element.reset();
      well.hidden = false;
    },
  });
  return element;
}

async function showTokens(box) {
  const { tokens } = await get("/api/tokens");
  const name = field("What it is for", { required: true, maxlength: "80" });
  const shown = h("div", { "aria-live": "polite" });
  const { element } = form({
    fields: [name.element],
    label: "Make a token",
    kind: "",
    act: async () => {
      const { token } = await post("/api/tokens", { name: name.input.value });
      await showTokens(box);
      box.prepend(secret("The token, shown this once", token));
    },
  });
  const end = async ({ id, name: called }) => {
    if (!(await confirmed("End this token?", `Programs that use “${called}” stop working.`, "End it"))) return;
    await remove(`/api/tokens/${id}`);
    await showTokens(box);
  };
  fill(
    box,
    shown,
    h(
      "ul",
      { class: "plain-list" },
      tokens.map((token) =>
        h(
          "li",
          { class: "head" },
          h(
            "span",
            {},
            h("strong", {}, token.name),
            h(
              "span",
              { class: "hint" },
              `  made ${day(token.created_at)}, ${token.used_at ? `used ${day(token.used_at)}` : "never used"}`,
            ),
          ),
          h(
            "button",
            {
              type: "button",
              class: "small-button danger",
              "aria-label": `End ${token.name}`,
              onclick: () => end(token),
            },
            "End",
          ),
        ),
      ),
    ),
    element,
  );
}
