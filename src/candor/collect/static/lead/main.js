// The dashboard of a project: one view at a time, chosen by the part of the address after the #.

import { get, patch, projectPath } from "../api.js";
import { announce, fill, focusOn, h } from "../dom.js";
import { needSession, topBar } from "../top_bar.js";
import { dataView } from "./data.js";
import { itemsView } from "./items.js";
import { peopleView } from "./people.js";
import { progressView } from "./progress.js";
import { gateView, payView } from "./release.js";
import { qualityView } from "./quality.js";
import { settingsView } from "./settings.js";

const VIEWS = {
  progress: ["Progress", progressView],
  annotators: ["Annotators", qualityView],
  gate: ["Gate", gateView],
  pay: ["Pay", payView],
  items: ["Items", itemsView],
  people: ["People", peopleView],
  data: ["Import and export", dataView],
  settings: ["Settings", settingsView],
};

const slug = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const main = document.getElementById("main");
const body = h("div", { class: "view" });
let project = null;

start();

async function start() {
  if (!(await needSession())) return;
  try {
    project = await get(projectPath(slug));
  } catch (error) {
    topBar({});
    fill(
      main,
      h(
        "section",
        { class: "message-panel" },
        h("h1", {}, "That did not work"),
        h("p", { role: "alert" }, error.message),
        h("a", { class: "button", href: "/" }, "All projects"),
      ),
    );
    return;
  }
  frame();
  window.addEventListener("hashchange", () => show(true));
  await show(false);
}

function frame() {
  topBar({ title: "Dashboard" });
  document.title = `${project.title} · Dashboard · Candor`;
  const pause = h(
    "button",
    { type: "button", onclick: toggle },
    project.paused ? "Start it again" : "Pause the project",
  );
  const state = h("span", { class: `tag ${project.paused ? "bad" : "good"}` }, project.paused ? "paused" : "running");
  fill(
    main,
    h(
      "div",
      { class: "head" },
      h("h1", {}, project.title, " ", state),
      h("div", { class: "actions" }, h("a", { class: "button", href: `/label/${slug}` }, "Label"), pause),
    ),
    h(
      "nav",
      { "aria-label": "Views of the project" },
      h(
        "ul",
        { class: "views" },
        Object.entries(VIEWS).map(([name, [title]]) => h("li", {}, h("a", { href: `#${name}` }, title))),
      ),
    ),
    body,
  );
}

async function toggle() {
  project = { ...project, ...(await patch(projectPath(slug), { paused: !project.paused })) };
  frame();
  announce(project.paused ? "The project is paused" : "The project is running");
  await show(false);
  main.querySelector(".head button").focus();
}

async function show(moved) {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "progress";
  for (const link of main.querySelectorAll(".views a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const [title, view] = VIEWS[name];
  const heading = h("h2", { tabindex: "-1" }, title);
  const content = h("div", {}, h("p", { class: "loading" }, "Loading …"));
  fill(body, heading, content);
  if (moved) focusOn(heading);
  await load(view, content);
}

async function load(view, content) {
  const again = async () => {
    try {
      const nodes = await view({
        slug,
        project,
        path: (rest) => projectPath(slug, rest),
        again,
        update: (changed) => {
          project = { ...project, ...changed };
        },
      });
      fill(content, nodes);
    } catch (error) {
      fill(
        content,
        h("p", { class: "problem", role: "alert" }, error.message),
        h("button", { type: "button", onclick: again }, "Try again"),
      );
      if (!error.status && error.name !== "Error") console.error(error);
    }
  };
  await again();
}
