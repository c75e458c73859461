// Who takes part, and links that let others in.

import { get, patch, post, remove, replace } from "../api.js";
import { confirmed, field, form } from "../dialogs.js";
import { fill, h } from "../dom.js";
import { fullLink, secret } from "../secret.js";
import { day, table } from "./numbers.js";

export async function peopleView({ path, project }) {
  const [members, invitations] = [h("div", {}), h("div", {})];
  await Promise.all([showMembers(members, path, project), showInvitations(invitations, path, project)]);
  return [
    h("section", { class: "block" }, h("h3", {}, "Members"), members),
    h("section", { class: "block" }, h("h3", {}, "Invitations"), invitations),
  ];
}

const pools = (project) => [["", "No pool"], ...(project.settings?.pools ?? []).map((pool) => [pool, pool])];

async function showMembers(box, path, project) {
  const { members } = await get(path("/members"));
  const { accounts } = await get("/api/accounts");
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const change = async (name, changes) => {
    try {
      await patch(path(`/members/${encodeURIComponent(name)}`), changes);
      await showMembers(box, path, project);
    } catch (error) {
      problem.hidden = false;
      fill(problem, error.message);
    }
  };
  const rows = members.map((member) => [
    member.name,
    member.role,
    member.handle,
    poolOf(member, project, change),
    h("input", {
      type: "number",
      min: "1",
      value: member.cap ?? "",
      placeholder: "none",
      "aria-label": `Most judgements of ${member.name}`,
      onchange: (event) => change(member.name, { cap: event.target.value ? Number(event.target.value) : null }),
    }),
    h(
      "button",
      {
        type: "button",
        class: "small-button",
        "aria-label": `${member.active ? "Stop" : "Let"} ${member.name} ${member.active ? "" : "work again"}`.trim(),
        onclick: () => change(member.name, { active: !member.active }),
      },
      member.active ? "Stop" : "Let work again",
    ),
  ]);
  const inside = new Set(members.map(({ name }) => name));
  const others = (accounts ?? [])
    .filter(({ name }) => !inside.has(name))
    .map(({ name, role }) => [name, `${name} (${role})`]);
  const who = field("Account", { tag: "select", options: others });
  const { element } = form({
    fields: [who.element],
    label: "Add",
    kind: "",
    act: async () => {
      await replace(path(`/members/${encodeURIComponent(who.input.value)}`), {});
      await showMembers(box, path, project);
    },
  });
  fill(
    box,
    problem,
    table({ caption: "Members", columns: ["Name", "Role", "Name in exports", "Pool", "At most", "Actions"], rows }),
    others.length > 0 && h("details", {}, h("summary", {}, "Add an account"), element),
  );
}

function poolOf(member, project, change) {
  if (!(project.settings?.pools ?? []).length) return member.pool ?? "–";
  return h(
    "select",
    {
      "aria-label": `Pool of ${member.name}`,
      onchange: (event) => change(member.name, { pool: event.target.value || null }),
    },
    pools(project).map(([value, words]) => h("option", { value, selected: value === (member.pool ?? "") }, words)),
  );
}

async function showInvitations(box, path, project) {
  const { invitations } = await get(path("/invitations"));
  const shown = h("div", { "aria-live": "polite" });
  const role = field("Role", { tag: "select", options: ["annotator", "lead"] });
  const pool = field("Pool", { tag: "select", options: pools(project) });
  const note = field("Note, for you", { maxlength: "200" });
  const days = field("Works for days", { type: "number", min: "1", max: "90", value: "7", required: true });
  const { element } = form({
    fields: [role.element, pools(project).length > 1 && pool.element, note.element, days.element],
    label: "Make a link",
    className: "grid-form",
    act: async () => {
      const made = await post(path("/invitations"), {
        role: role.input.value,
        note: note.input.value,
        days: Number(days.input.value),
        ...(pool.input.value && { pool: pool.input.value }),
      });
      await showInvitations(box, path, project);
      fill(box.firstChild, secret("The link, shown this once. It lets one person in.", fullLink(made)));
    },
  });
  const revoke = async (invitation) => {
    if (!(await confirmed("Revoke this link?", "Whoever has it can no longer join with it.", "Revoke"))) return;
    await remove(path(`/invitations/${invitation.id}`));
    await showInvitations(box, path, project);
  };
  const rows = invitations.map((each) => [
    each.note || `Link ${each.id}`,
    each.role,
    each.pool ?? "–",
    day(each.expires_at),
    h(
      "button",
      {
        type: "button",
        class: "small-button danger",
        "aria-label": `Revoke ${each.note || `link ${each.id}`}`,
        onclick: () => revoke(each),
      },
      "Revoke",
    ),
  ]);
  fill(
    box,
    shown,
    table({
      caption: "Links that still work",
      columns: ["Note", "Role", "Pool", "Until", "Actions"],
      rows,
      empty: "No link waits to be used.",
    }),
    element,
  );
}
