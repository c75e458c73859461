// The front page: signs in, or lists one's projects.

import { Refused, currentSession, get, projectPath, sessionOrNull, signIn } from "./api.js";
import { field, form } from "./dialogs.js";
import { fill, focusOn, h } from "./dom.js";
import { Outbox } from "./outbox.js";
import { statusLine } from "./status_line.js";
import { nextPage, topBar } from "./top_bar.js";

const main = document.getElementById("main");
const TASKS = { comparison: "Comparison", ranking: "Ranking", rating: "Rating" };

start();

async function start() {
  try {
    if (await sessionOrNull()) await projects();
    else signInForm();
  } catch (error) {
    fill(
      main,
      h(
        "section",
        { class: "message-panel" },
        h("h1", {}, "That did not work"),
        h("p", { role: "alert" }, error.message),
        h("div", { class: "actions" }, h("a", { class: "button primary", href: "/" }, "Try again")),
      ),
    );
  }
}

function signInForm() {
  document.title = "Sign in · Candor";
  topBar({});
  const name = field("Name", {
    name: "name",
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    required: true,
  });
  const password = field("Password", {
    name: "password",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const { element } = form({
    fields: [name.element, password.element],
    label: "Sign in",
    act: async (fail) => {
      try {
        await signIn(name.input.value.trim(), password.input.value);
      } catch (error) {
        if (error instanceof Refused && error.status === 401) return fail("Name and password do not match.");
        throw error;
      }
      const next = nextPage();
      if (next) location.replace(next);
      else await start();
    },
  });
  fill(
    main,
    h(
      "section",
      { class: "panel narrow" },
      h("h1", {}, "Sign in"),
      element,
      h("p", { class: "hint" }, "New here, or the password is lost? Ask whoever leads the project for a link."),
    ),
  );
  name.input.focus();
}

async function projects() {
  document.title = "Projects · Candor";
  const session = currentSession();
  topBar({});
  const list = (await get("/api/projects")).projects.filter(({ archived }) => !archived);
  const part = new Set((session.projects ?? []).map(({ slug }) => slug));
  const leads = session.role !== "annotator";
  const heading = h("h1", { tabindex: "-1" }, "Your projects");
  const cards = list.map((project) => card(project, { leads, takesPart: part.has(project.slug) }));
  fill(
    main,
    heading,
    list.length
      ? h(
          "ul",
          { class: "project-list" },
          cards.map(({ element }) => element),
        )
      : h(
          "p",
          { class: "lede" },
          session.role === "admin"
            ? "There is no project yet. Make one under Administration."
            : "You take part in no project yet. Whoever leads one can add you.",
        ),
  );
  focusOn(heading);
  unsent(session.name);
  await Promise.all(cards.map(({ tell }) => tell()));
}

function card({ slug, title, task, paused }, { leads, takesPart }) {
  const words = h("p", { class: "hint" });
  const element = h(
    "li",
    {},
    h(
      "article",
      { class: "panel" },
      h("h2", {}, title),
      h(
        "p",
        {},
        h("span", { class: "tag" }, TASKS[task] ?? task),
        " ",
        paused && h("span", { class: "tag bad" }, "Paused"),
      ),
      words,
      h(
        "div",
        { class: "actions" },
        takesPart &&
          h("a", { class: "button primary", href: `/label/${slug}`, "aria-label": `Label: ${title}` }, "Label"),
        leads && h("a", { class: "button", href: `/lead/${slug}`, "aria-label": `Dashboard: ${title}` }, "Dashboard"),
      ),
    ),
  );
  async function tell() {
    if (!takesPart) return;
    const mine = await get(projectPath(slug, "/mine")).catch(() => null);
    if (mine) words.textContent = `${mine.done} judged${mine.left === null ? "" : `, ${mine.left} to go`}`;
  }
  return { element, tell };
}

// Answers of this account that a closed page left behind are sent from here too.
function unsent(name) {
  const outbox = new Outbox({ account: name });
  if (!outbox.pending().length && !outbox.aside().length) return;
  main.append(h("section", { "aria-label": "Unsent answers" }, statusLine(outbox)));
  outbox.flush();
}
