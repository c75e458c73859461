// A link that lets somebody in. Its token stands after the #, which browsers send to no server; it leaves the address
// bar at once.

import { accept, post } from "./api.js";
import { field, form } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { topBar } from "./top_bar.js";

const SHORTEST = 12;
const main = document.getElementById("main");
const token = location.hash.slice(1) || history.state?.token || "";
history.replaceState({ token }, "", location.pathname);
window.addEventListener("hashchange", () => location.reload());

start();

async function start() {
  topBar({});
  if (!token) return broken("This address lacks the part after the #. Open the whole link.");
  try {
    const { role, project, name } = await post("/api/session/link", { token });
    if (name) signInByLink(name);
    else newAccount(role, project);
  } catch (error) {
    broken(error.message);
  }
}

function broken(words) {
  fill(
    main,
    h(
      "section",
      { class: "panel narrow" },
      h("h1", {}, "This link does not work"),
      h("p", { role: "alert" }, words),
      h(
        "p",
        { class: "hint" },
        "A link works once and for some days. Ask for a new one, or ",
        h("a", { href: "/" }, "sign in"),
        ".",
      ),
    ),
  );
}

function newPassword(label = "Password") {
  const password = field(
    label,
    { type: "password", autocomplete: "new-password", minlength: SHORTEST, required: true },
    `At least ${SHORTEST} characters. Several words are good.`,
  );
  const again = field(`${label} again`, { type: "password", autocomplete: "new-password", required: true });
  const differs = () =>
    again.input.setCustomValidity(again.input.value === password.input.value ? "" : "The two are not the same.");
  password.input.addEventListener("input", differs);
  again.input.addEventListener("input", differs);
  return { fields: [password.element, again.element], value: () => password.input.value };
}

function done() {
  history.replaceState(null, "", location.pathname);
  location.assign("/");
}

function newAccount(role, project) {
  const name = field(
    "Name",
    {
      autocomplete: "username",
      autocapitalize: "none",
      spellcheck: "false",
      maxlength: "80",
      pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*",
      required: true,
    },
    "What you sign in with: letters, digits, . _ and -. Others in the project see it.",
  );
  const password = newPassword();
  const { element } = form({
    fields: [name.element, password.fields],
    label: "Join",
    act: async () => {
      await accept({ token, name: name.input.value.trim(), password: password.value() });
      done();
    },
  });
  const what = project
    ? `You are invited to “${project}” as ${role === "annotator" ? "an annotator" : `a ${role}`}.`
    : `You are invited as ${role === "annotator" ? "an annotator" : `${role === "admin" ? "an" : "a"} ${role}`}.`;
  fill(main, h("section", { class: "panel narrow" }, h("h1", {}, "Welcome"), h("p", {}, what), element));
  name.input.focus();
}

function signInByLink(name) {
  const password = newPassword("New password");
  const { element } = form({
    fields: password.fields,
    label: "Set the password and sign in",
    act: async () => {
      await accept({ token, password: password.value() });
      done();
    },
  });
  const later = h(
    "button",
    {
      type: "button",
      onclick: async () => {
        try {
          await accept({ token });
          done();
        } catch (error) {
          broken(error.message);
        }
      },
    },
    "Not now",
  );
  element.querySelector(".actions").append(later);
  fill(
    main,
    h(
      "section",
      { class: "panel narrow" },
      h("h1", {}, `Hello, ${name}`),
      h("p", {}, "This link signs you in once. Choose a password for the next time."),
      element,
    ),
  );
}
