// A ranking that is being made: groups of places, best first, and a tray of those without a rank yet. Pure functions:
// each returns a new order. Nothing has a rank at first, so that no order is suggested.

export function unranked(count) {
  return { groups: [], tray: Array.from({ length: count }, (_, place) => place) };
}

export const complete = ({ tray }) => tray.length === 0;

// The index of the place's group, or -1.
export const rankOf = ({ groups }, place) => groups.findIndex((group) => group.includes(place));

const alone = ({ groups }, place) => groups[rankOf({ groups }, place)]?.length === 1;

function without({ groups, tray }, place) {
  return {
    groups: groups.map((group) => group.filter((other) => other !== place)).filter((group) => group.length),
    tray: tray.filter((other) => other !== place),
  };
}

// Puts it in a rank of its own, before what is at that index now.
export function putAt(order, place, index) {
  const before = rankOf(order, place);
  const { groups, tray } = without(order, place);
  const shifted = before >= 0 && alone(order, place) && before < index ? index - 1 : index;
  const at = Math.max(0, Math.min(shifted, groups.length));
  return { groups: [...groups.slice(0, at), [place], ...groups.slice(at)], tray };
}

// Puts it into rank `number` (from 1); what was there and below moves down.
export function putInRank(order, place, number) {
  const { groups, tray } = without(order, place);
  const at = Math.max(0, Math.min(number - 1, groups.length));
  return { groups: [...groups.slice(0, at), [place], ...groups.slice(at)], tray };
}

// Shares the rank of another place.
export function tieWith(order, place, other) {
  if (place === other || rankOf(order, other) < 0 || rankOf(order, place) === rankOf(order, other)) return order;
  const { groups, tray } = without(order, place);
  return {
    groups: groups.map((group) => (group.includes(other) ? [...group, place].sort((a, b) => a - b) : group)),
    tray,
  };
}

export function tieAbove(order, place) {
  const rank = rankOf(order, place);
  const above = rank < 0 ? order.groups.at(-1) : order.groups[rank - 1];
  return above ? tieWith(order, place, above[0]) : order;
}

export function up(order, place) {
  const rank = rankOf(order, place);
  if (rank < 0) return putAt(order, place, order.groups.length);
  return alone(order, place) ? putInRank(order, place, rank) : putAt(order, place, rank);
}

export function down(order, place) {
  const rank = rankOf(order, place);
  if (rank < 0) return order;
  return alone(order, place) ? putInRank(order, place, rank + 2) : putAt(order, place, rank + 1);
}

export function takeOut(order, place) {
  if (rankOf(order, place) < 0) return order;
  const { groups, tray } = without(order, place);
  return { groups, tray: [...tray, place].sort((a, b) => a - b) };
}
