// Ranking four to seven responses, with ties: by dragging, by buttons, or by keys on a focused card.

import { announce, fill, h, letter, plural, uid } from "./dom.js";
import { complete, down, putAt, putInRank, rankOf, takeOut, tieAbove, tieWith, unranked, up } from "./ranking_order.js";
import { draggable } from "./ranking_drag.js";

const HELP = "Arrow keys move it, digits put it in a rank, = ties it with the one above, Backspace takes it out.";

export function ranking({ settings, responses, onChange, onLocked }) {
  const count = responses.length;
  const cards = responses.map((response, place) => makeCard(place, snippet(response)));
  const help = h(
    "p",
    { id: uid("help"), class: "hint keys-hint" },
    "Drag by the handle, use the buttons, or focus a card: ",
    HELP,
  );
  const ranks = h("ol", { class: "ranks", "aria-label": "Ranking, best first" });
  const tray = h("ul", { class: "tray", "aria-label": "Not ranked yet" });
  const trayBox = h("div", { class: "tray-box" }, h("h2", { class: "board-title" }, "Not ranked yet"), tray);
  const board = h(
    "section",
    { class: "board", "aria-label": "Your ranking" },
    trayBox,
    h("h2", { class: "board-title" }, "Your ranking ", h("span", { class: "hint" }, "best first")),
    ranks,
    help,
  );
  let order = unranked(count);
  let seen = new Set();

  cards.forEach(({ card, handle, buttons }, place) => {
    card.setAttribute("aria-describedby", help.id);
    card.addEventListener("keydown", (event) => onKey(event, place));
    buttons.up.addEventListener("click", () => change(up(order, place), place, buttons.up));
    buttons.down.addEventListener("click", () => change(down(order, place), place, buttons.down));
    buttons.tie?.addEventListener("click", () => change(tieAbove(order, place), place, buttons.tie));
    buttons.out.addEventListener("click", () => change(takeOut(order, place), place, card));
    draggable({ handle, card, board, mayTie: settings.ties, onDrop: (target) => drop(target, place) });
  });
  if (!settings.ties)
    cards.forEach(({ buttons }) => {
      buttons.tie.remove();
      buttons.tie = null;
    });
  draw();

  function onKey(event, place) {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = {
      ArrowUp: () => up(order, place),
      ArrowDown: () => down(order, place),
      ArrowLeft: () => up(order, place),
      ArrowRight: () => down(order, place),
      "=": () => (settings.ties ? tieAbove(order, place) : order),
      Backspace: () => takeOut(order, place),
      Delete: () => takeOut(order, place),
    };
    const digit = /^[1-9]$/.test(event.key) && Number(event.key) <= count;
    const next = digit ? () => putInRank(order, place, Number(event.key)) : moves[event.key];
    if (!next) return;
    event.preventDefault();
    change(next(), place, cards[place].card);
  }

  function drop(target, place) {
    const next = target.tray
      ? takeOut(order, place)
      : target.into !== undefined
        ? tieWith(order, place, target.into)
        : putAt(order, place, target.before);
    change(next, place, cards[place].card);
  }

  function change(next, place, focused) {
    if (!seen.has(place)) return onLocked(place);
    order = next;
    draw();
    const usable = focused?.isConnected && !focused.disabled && !focused.hidden;
    (usable ? focused : cards[place].card).focus();
    announce(position(place));
    onChange();
  }

  function position(place) {
    const rank = rankOf(order, place);
    if (rank < 0) return `Response ${letter(place)}: no rank`;
    const ties = order.groups[rank].filter((other) => other !== place).map(letter);
    const left = order.tray.length ? `. ${plural(order.tray.length, "response")} without a rank` : ". All are ranked";
    const tied = ties.length ? `, tied with ${ties.join(" and ")}` : "";
    return `Response ${letter(place)}: rank ${rank + 1} of ${order.groups.length}${tied}${left}`;
  }

  function slot(place) {
    return h("li", {}, cards[place].card);
  }

  function draw() {
    fill(
      ranks,
      order.groups.map((group, index) =>
        h(
          "li",
          { class: "rank" },
          h("span", { class: "rank-number", "aria-hidden": "true" }, index + 1),
          h("ul", { class: "tied", "aria-label": `Rank ${index + 1}` }, group.map(slot)),
        ),
      ),
    );
    fill(tray, order.tray.map(slot));
    trayBox.hidden = order.tray.length === 0;
    if (order.groups.length === 0) ranks.append(h("li", { class: "rank-empty" }, "Put the best one here"));
    cards.forEach(({ card, buttons }, place) => {
      const rank = rankOf(order, place);
      const tied = rank >= 0 && order.groups[rank].length > 1;
      card.setAttribute("aria-label", `${position(place)}.`);
      buttons.up.disabled = rank === 0 && !tied;
      buttons.down.disabled = rank < 0 || (rank === order.groups.length - 1 && !tied);
      if (buttons.tie) buttons.tie.disabled = rank === 0 || (rank < 0 && order.groups.length === 0);
      buttons.out.hidden = rank < 0;
    });
  }

  return {
    bar: null,
    side: board,
    under: () => null,
    bindings: cards.map(({ card }, place) => ({
      keys: [letter(place).toLowerCase()],
      says: `Go to card ${letter(place)}`,
      act: () => card.focus(),
    })),
    cardKeys: HELP,
    answer: () => (complete(order) ? { order: order.groups } : null),
    draft: () => order,
    says: () => (complete(order) ? "All are ranked" : `${plural(order.tray.length, "response")} without a rank`),
    unlock: ({ places }) => {
      seen = places;
      cards.forEach(({ card }, place) => card.setAttribute("aria-disabled", String(!places.has(place))));
    },
    restore: (saved) => {
      if (saved?.order) order = { groups: saved.order.map((group) => [...group]), tray: [] };
      else if (saved?.groups) order = saved;
      draw();
    },
    tell: (answer) => (answer.order ?? []).map((group) => group.map(letter).join(" = ")).join(" > "),
  };
}

function makeCard(place, words) {
  const name = letter(place);
  const button = (act, face, label) =>
    h("button", { type: "button", class: `quiet card-${act}`, "aria-label": `${label} ${name}`, title: label }, face);
  const buttons = {
    up: button("up", "↑", "Move up"),
    down: button("down", "↓", "Move down"),
    tie: button("tie", "=", "Tie with the one above:"),
    out: button("out", "×", "Take out of the ranking:"),
  };
  const handle = h(
    "span",
    { class: "handle", "aria-hidden": "true" },
    h("span", { class: "grip" }),
    h("span", { class: "letter" }, name),
  );
  const card = h(
    "div",
    { class: "card", role: "group", "data-place": place },
    handle,
    h("span", { class: "snippet", "aria-hidden": "true" }, words),
    h("span", { class: "card-buttons" }, Object.values(buttons)),
  );
  card.tabIndex = 0;
  return { card, handle, buttons };
}

function snippet({ text, html }) {
  const words = (text ?? new DOMParser().parseFromString(html ?? "", "text/html").body.textContent)
    .replace(/\s+/g, " ")
    .trim();
  return words.length > 90 ? `${words.slice(0, 88)} …` : words;
}
