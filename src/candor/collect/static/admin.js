// Administration: accounts, projects, and the log of what was done.

import { currentSession, get, patch, post } from "./api.js";
import { confirmed, field, form } from "./dialogs.js";
import { announce, fill, h } from "./dom.js";
import { moment, table } from "./lead/numbers.js";
import { fullLink, secret } from "./secret.js";
import { needSession, topBar } from "./top_bar.js";

const ROLES = ["annotator", "lead", "admin"];
const TASKS = [
  ["comparison", "Comparison of two"],
  ["ranking", "Ranking of 4 to 7"],
  ["rating", "Rating from 1 to 5"],
];
const main = document.getElementById("main");
start();

async function start() {
  if (!(await needSession())) return;
  const { role } = currentSession();
  const title = role === "admin" ? "Administration" : "Projects";
  topBar({ title });
  const [accounts, projects, log] = [h("div", {}), h("div", {}), h("div", {})];
  fill(
    main,
    h("h1", {}, title),
    h("section", { class: "block" }, h("h2", {}, "Projects"), projects),
    role === "admin" && h("section", { class: "block" }, h("h2", {}, "Accounts"), accounts),
    role === "admin" && h("section", { class: "block" }, h("h2", {}, "Log"), log),
  );
  try {
    await showProjects(projects);
    if (role === "admin") await Promise.all([showAccounts(accounts), showLog(log)]);
  } catch (error) {
    main.prepend(h("p", { class: "problem", role: "alert" }, error.message));
  }
}

async function showProjects(box) {
  const { projects } = await get("/api/projects");
  const slug = field(
    "Short name",
    { required: true, pattern: "[a-z0-9][a-z0-9_\\-]{0,79}" },
    "For addresses: lower-case letters, digits, - and _.",
  );
  const title = field("Title", { required: true, maxlength: "200" });
  const task = field("Task", { tag: "select", options: TASKS });
  const { element } = form({
    fields: [title.element, slug.element, task.element],
    label: "Make the project",
    className: "grid-form",
    act: async () => {
      const made = await post("/api/projects", {
        slug: slug.input.value,
        title: title.input.value,
        task: task.input.value,
      });
      location.assign(`/lead/${made.slug}`);
    },
  });
  const rows = projects.map((project) => [
    h("a", { href: `/lead/${project.slug}` }, project.title),
    project.task,
    project.archived ? "archived" : project.paused ? "paused" : "running",
  ]);
  fill(
    box,
    table({ caption: "Projects", columns: ["Title", "Task", "State"], rows, empty: "There is no project yet." }),
    currentSession().role !== "annotator" &&
      h("details", { open: currentSession().role === "lead" }, h("summary", {}, "New project"), element),
  );
}

async function showAccounts(box) {
  const { accounts } = await get("/api/accounts");
  const shown = h("div", { "aria-live": "polite" });
  const name = field("Name", { required: true, maxlength: "80" });
  const role = field("Role", { tag: "select", options: ROLES });
  const { element } = form({
    fields: [name.element, role.element],
    label: "Make the account",
    className: "grid-form",
    act: async () => {
      const made = await post("/api/accounts", { name: name.input.value, role: role.input.value });
      await showAccounts(box);
      await link(box.firstChild, made.name);
    },
  });
  const change = async (account, changes) => {
    try {
      await patch(`/api/accounts/${encodeURIComponent(account.name)}`, changes);
      announce(`${account.name} is changed`);
    } catch (error) {
      box.prepend(h("p", { class: "problem", role: "alert" }, error.message));
    }
    await showAccounts(box);
  };
  const rows = accounts.map((account) => [
    account.name,
    h(
      "select",
      { "aria-label": `Role of ${account.name}`, onchange: (event) => change(account, { role: event.target.value }) },
      ROLES.map((each) => h("option", { selected: each === account.role }, each)),
    ),
    h("span", { class: `tag ${account.active ? "good" : "bad"}` }, account.active ? "active" : "shut out"),
    h(
      "div",
      { class: "toolbar" },
      h(
        "button",
        {
          type: "button",
          class: "small-button",
          "aria-label": `Sign-in link for ${account.name}`,
          onclick: () => link(shown, account.name),
        },
        "Sign-in link",
      ),
      h(
        "button",
        {
          type: "button",
          class: "small-button",
          "aria-label": `${account.active ? "Shut out" : "Let in"} ${account.name}`,
          onclick: async () => {
            if (
              !account.active ||
              (await confirmed(
                `Shut ${account.name} out?`,
                "They are signed out everywhere. Their labels stay.",
                "Shut out",
              ))
            )
              await change(account, { active: !account.active });
          },
        },
        account.active ? "Shut out" : "Let in",
      ),
    ),
  ]);
  fill(
    box,
    shown,
    table({ caption: "Accounts", columns: ["Name", "Role", "State", "Actions"], rows }),
    h("details", {}, h("summary", {}, "New account"), element),
  );
}

async function link(shown, name) {
  const made = await post(`/api/accounts/${encodeURIComponent(name)}/link`);
  fill(shown, secret(`A link that signs ${name} in once, shown this once`, fullLink(made)));
}

async function showLog(box, before = null) {
  const { log } = await get(`/api/log?limit=50${before ? `&before=${before}` : ""}`);
  const rows = log.map((row) => [moment(row.at), row.who ?? "", row.action, row.subject, words(row.details)]);
  fill(
    box,
    table({
      caption: "What was done, the newest first",
      columns: ["When", "Who", "What", "To what", "Details"],
      rows,
      empty: "Nothing yet.",
    }),
    log.length === 50 && h("button", { type: "button", onclick: () => showLog(box, log.at(-1).id) }, "Earlier"),
  );
}

const words = (details) =>
  Object.entries(details ?? {})
    .map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(", ") : value}`)
    .join("; ");
