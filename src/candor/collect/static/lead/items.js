// What is judged: a page of items at a time; each can be taken out, or made a gold item.

import { get, patch } from "../api.js";
import { field, form, openDialog } from "../dialogs.js";
import { fill, h, letter } from "../dom.js";
import { number, table } from "./numbers.js";

const PAGE = 25;
const KINDS = [
  ["", "All kinds"],
  ["main", "Main"],
  ["gold", "Gold"],
  ["calibration", "Calibration"],
  ["example", "Example"],
];
const TRAPS = [
  ["plain", "Plain"],
  ["long_wrong", "The wrong one is longer"],
  ["polite_wrong", "The wrong one is more polite"],
  ["flatters_wrong", "The wrong one flatters"],
];

export async function itemsView({ path, project }) {
  const list = h("div", { "aria-live": "polite" });
  const kind = field("Kind", { tag: "select", options: KINDS });
  let offset = 0;
  const show = async () => {
    const { total, items } = await get(
      path(`/items?offset=${offset}&limit=${PAGE}${kind.input.value ? `&kind=${kind.input.value}` : ""}`),
    );
    const rows = items.map((item) => row(item, { path, project, show }));
    const move = (by) => {
      offset = Math.max(0, offset + by);
      show();
    };
    fill(
      list,
      table({
        caption: "Items",
        columns: ["Key", "Kind", "Conversation and responses", "Labels", "Batch", "Pool", "Actions"],
        rows,
        wide: [2],
        empty: "There are no items yet. Import some.",
      }),
      h(
        "div",
        { class: "pager" },
        h("button", { type: "button", disabled: offset === 0, onclick: () => move(-PAGE) }, "Earlier"),
        h("span", {}, total ? `${offset + 1} to ${Math.min(offset + PAGE, total)} of ${number(total)}` : "0 items"),
        h("button", { type: "button", disabled: offset + PAGE >= total, onclick: () => move(PAGE) }, "Later"),
      ),
    );
  };
  kind.input.addEventListener("change", () => {
    offset = 0;
    show();
  });
  await show();
  return [h("div", { class: "toolbar" }, kind.element), list];
}

function row(item, { path, project, show }) {
  const change = async (changes) => {
    await patch(path(`/items/${item.id}`), changes);
    await show();
  };
  const last = item.prompt?.at?.(-1)?.content ?? "";
  return [
    item.key,
    [
      item.kind,
      !item.active && h("span", { class: "tag bad" }, "taken out"),
      item.gold && item.kind === "main" && h("span", { class: "tag" }, "has a right answer"),
    ],
    h(
      "details",
      {},
      h("summary", {}, cut(last)),
      (item.prompt ?? []).map((message) =>
        h("p", { class: "plain" }, h("strong", {}, `${message.role}: `), message.content),
      ),
      (item.responses ?? []).map((response, place) =>
        h(
          "p",
          { class: "plain" },
          h("strong", {}, `${letter(place)}${response.policy ? ` (${response.policy})` : ""}: `),
          response.text,
        ),
      ),
    ),
    `${item.labels} of ${item.overlap}`,
    item.batch,
    item.pool ?? "any",
    h(
      "div",
      { class: "toolbar" },
      h(
        "button",
        {
          type: "button",
          class: "small-button",
          "aria-label": `${item.active ? "Take out" : "Put back"} ${item.key}`,
          onclick: () => change({ active: !item.active }),
        },
        item.active ? "Take out" : "Put back",
      ),
      h(
        "button",
        {
          type: "button",
          class: "small-button",
          "aria-label": `Right answer of ${item.key}`,
          onclick: () => askGold(item, project, change),
        },
        "Right answer",
      ),
    ),
  ];
}

const cut = (text) => (text.length > 80 ? `${text.slice(0, 78)} …` : text || "(empty)");

// The right answer by index of response, as files hold it.
function askGold(item, project, change) {
  const choose = project.task === "comparison";
  const now = item.gold?.answer;
  const places = item.responses.map((_, place) => [String(place), `Response ${letter(place)}`]);
  const answer = choose
    ? field("The better one", { tag: "select", options: places, value: String(now?.best ?? 0) })
    : field(
        project.task === "ranking" ? "Order, best first" : "Scores",
        { required: true, value: now ? JSON.stringify(now.order ?? now.scores) : "" },
        project.task === "ranking" ? "Such as [[2],[0,1],[3]]: numbers of responses from 0" : "Such as [5,2]",
      );
  const trap = field("What tempts to the wrong one", {
    tag: "select",
    options: TRAPS,
    value: item.gold?.trap ?? "plain",
  });
  const why = field("Why, in Markdown", { tag: "textarea", rows: "4" });
  why.input.value = item.gold?.why ?? "";
  let dialog = null;
  const read = () =>
    choose
      ? { best: Number(answer.input.value) }
      : { [project.task === "ranking" ? "order" : "scores"]: JSON.parse(answer.input.value) };
  const { element } = form({
    fields: [answer.element, trap.element, why.element],
    label: "Save",
    act: async () => {
      await change({ gold: { answer: read(), trap: trap.input.value, why: why.input.value } });
      dialog.close();
    },
  });
  dialog = openDialog({ title: `Right answer of ${item.key}`, kind: "small", body: element });
}
