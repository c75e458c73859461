// The bar at the top of every page: where one is, and one's account.

import { currentSession, onExpired, sessionOrNull, signOut } from "./api.js";
import { askToSignIn } from "./dialogs.js";
import { fill, h } from "./dom.js";

export function topBar({ title = "", middle = null, actions = [], onSignOut = () => true }) {
  const session = currentSession();
  const leave = async () => {
    if (!(await onSignOut())) return;
    await signOut().catch(() => {});
    location.assign("/");
  };
  const menu =
    session &&
    h(
      "details",
      { class: "menu" },
      h("summary", {}, h("span", { class: "sr" }, "Account of "), h("span", { class: "who" }, session.name)),
      h(
        "ul",
        { class: "menu-list" },
        h("li", {}, h("a", { href: "/" }, "Projects")),
        h("li", {}, h("a", { href: "/account" }, "Account")),
        session.role !== "annotator" &&
          h("li", {}, h("a", { href: "/admin" }, session.role === "admin" ? "Administration" : "New project")),
        h("li", {}, h("button", { type: "button", class: "link", onclick: leave }, "Sign out")),
      ),
    );
  menu?.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => {
    if (menu?.open && !menu.contains(event.target)) menu.open = false;
  });
  fill(
    document.getElementById("top"),
    h(
      "a",
      { class: "brand", href: "/" },
      h("img", { src: "/static/icon.svg", alt: "", width: "22", height: "22" }),
      "Candor",
    ),
    title && h("p", { class: "where" }, title),
    middle,
    h("div", { class: "top-actions" }, actions, menu),
  );
}

// The session of a page that needs one; without it null, and the browser is on its way to the sign-in (and back
// afterwards).
export async function needSession() {
  const session = await sessionOrNull();
  if (session) onExpired(() => askToSignIn(session.name));
  else location.replace(`/?next=${encodeURIComponent(location.pathname + location.hash)}`);
  return session;
}

// An address of this site only: `//elsewhere` and `https:` would lead away.
export function nextPage() {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  return /^\/(?![/\\])/.test(next) ? next : null;
}
