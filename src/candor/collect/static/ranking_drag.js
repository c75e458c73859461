// Dragging a card by its handle, with a mouse, a pen or a finger. Where it would land is one of
// {into: place} (a tie), {before: index} (a rank of its own) or {tray: true}.

const SLACK = 5;
const EDGE = 70;

export function draggable({ handle, card, board, mayTie, onDrop }) {
  handle.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || card.getAttribute("aria-disabled") === "true") return;
    event.preventDefault();
    handle.setPointerCapture(event.pointerId);
    follow(event, { handle, card, board, mayTie, onDrop });
  });
}

function follow(start, { handle, card, board, mayTie, onDrop }) {
  let moving = false;
  let target = null;
  const from = { x: start.clientX, y: start.clientY + window.scrollY };
  const move = (event) => {
    const x = event.clientX - from.x;
    const y = event.clientY + window.scrollY - from.y;
    if (!moving && Math.hypot(x, y) < SLACK) return;
    moving = true;
    card.classList.add("dragged");
    card.style.transform = `translate(${x}px, ${y}px)`;
    if (event.clientY < EDGE) window.scrollBy(0, -12);
    if (event.clientY > window.innerHeight - EDGE) window.scrollBy(0, 12);
    target = landing(event.clientX, event.clientY, { card, board, mayTie });
    mark(board, target);
  };
  const end = (dropped) => {
    for (const [kind, act] of listeners) handle.removeEventListener(kind, act);
    document.removeEventListener("keydown", escape, true);
    card.classList.remove("dragged");
    card.style.transform = "";
    mark(board, null);
    if (dropped && moving && target) onDrop(target);
  };
  const escape = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    end(false);
  };
  const listeners = [
    ["pointermove", move],
    ["pointerup", () => end(true)],
    ["pointercancel", () => end(false)],
  ];
  for (const [kind, act] of listeners) handle.addEventListener(kind, act);
  document.addEventListener("keydown", escape, true);
}

function landing(x, y, { card, board, mayTie }) {
  const tray = board.querySelector(".tray");
  if (inside(tray.getBoundingClientRect(), x, y)) return { tray: true };
  const ranks = [...board.querySelectorAll(".rank")].filter(
    (rank) => rank.querySelector(".card") !== card || rank.querySelectorAll(".card").length > 1,
  );
  const all = [...board.querySelectorAll(".rank")];
  for (const rank of ranks) {
    const box = rank.getBoundingClientRect();
    if (y < box.top || y > box.bottom) continue;
    const other = [...rank.querySelectorAll(".card")].find((each) => each !== card);
    const within = (y - box.top) / box.height;
    if (mayTie && !rank.contains(card) && within > 0.3 && within < 0.7)
      return { into: Number(other.dataset.place), at: all.indexOf(rank) };
    return { before: all.indexOf(rank) + (within < 0.5 ? 0 : 1) };
  }
  const before = all.filter((rank) => rank.getBoundingClientRect().bottom <= y).length;
  return { before };
}

const inside = (box, x, y) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;

function mark(board, target) {
  const ranks = [...board.querySelectorAll(".rank")];
  ranks.forEach((rank, index) => {
    rank.classList.toggle("takes", target?.at === index && target.into !== undefined);
    rank.classList.toggle("line-above", target?.before === index);
    rank.classList.toggle("line-below", target?.before === ranks.length && index === ranks.length - 1);
  });
  board.querySelector(".ranks").classList.toggle("takes", target?.before === 0 && ranks.length === 0);
  board.querySelector(".tray").classList.toggle("takes", Boolean(target?.tray));
}
