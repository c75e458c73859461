// The labelling page: fetches a task, shows it, opens the answers once all has been seen, hands the answer to the
// outbox, and goes on.

import { OtherAccount, Refused, currentSession, get, onExpired, post, projectPath } from "./api.js";
import { askToSignIn, openDialog } from "./dialogs.js";
import { announce, fill, focusOn, h } from "./dom.js";
import { dropDraft, readDraft, saveDraft } from "./drafts.js";
import { feedback } from "./feedback.js";
import { firstVisit, showHelp, showInstructions } from "./help.js";
import { newId } from "./ids.js";
import { listen } from "./keys.js";
import { always, labelBar } from "./label_bar.js";
import { Outbox } from "./outbox.js";
import { endPanel, messagePanel, someoneElse } from "./panels.js";
import { progress } from "./progress.js";
import { askWhy } from "./skip.js";
import { taskView, tellAnswer } from "./task_view.js";
import { watchPage } from "./timing.js";
import { needSession } from "./top_bar.js";

const slug = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const main = document.getElementById("main");
const path = (rest) => projectPath(slug, rest);

let mine = null;
let outbox = null;
let view = null; // of the task on screen
let busy = false;
let paused = false;
let checking = null;
let counted = 0; // answers of this page; now and then the server is asked how far one has come
const given = []; // what was submitted from this page and could be taken back, oldest first
let buttons = {};
const bar = progress();
const acts = { undo, pause: () => pause(!paused), instructions: () => instructions(), help: () => help() };

start().catch(failed);

async function start() {
  const session = await needSession();
  if (!session) return;
  onExpired(() => held("sign-in", askToSignIn(session.name)));
  outbox = new Outbox({ account: session.name });
  mine = await get(path("/mine"));
  document.title = `${mine.title} · Candor`;
  buttons = labelBar({ mine, outbox, progress: bar.element, acts });
  bar.show(mine);
  watchPage(() => view?.stopwatch);
  listen(bindings);
  window.addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", keep);
  setInterval(() => view?.tick(), 250);
  outbox.addEventListener("change", () => {
    if (outbox.state === "other-account") someoneElse(outbox.problem, outbox.account);
  });
  await recent();
  if (firstVisit(session.name, slug)) await instructions({ begin: true });
  if (outbox.pending().length) await Promise.race([outbox.flush(), new Promise((go) => setTimeout(go, 4_000))]);
  await next();
}

function bindings() {
  if (!view || paused) return always(acts);
  if (view.feedback) return [{ keys: ["Enter"], says: "Next", act: () => view.feedback.next.click() }, ...always(acts)];
  return [
    ...view.widget.bindings,
    { keys: ["Enter"], says: "Submit", act: submit },
    { keys: ["s"], says: "Skip, with a reason", act: skip },
    ...always(acts),
  ];
}

const help = () => held("help", showHelp(bindings(), view?.widget.cardKeys));
const instructions = (how) => held("instructions", showInstructions(mine, tellAnswer(mine.task), how));

// While a dialog is open nobody reads the responses.
async function held(reason, wait) {
  view?.stopwatch.hold(reason);
  try {
    return await wait;
  } finally {
    view?.stopwatch.letGo(reason);
  }
}

// What can still be taken back after a reload.
async function recent() {
  const list = await get(path("/submissions?limit=10")).catch(() => []);
  const own = Array.isArray(list) ? list : (list.submissions ?? []);
  given.push(
    ...own
      .filter(({ undone }) => !undone)
      .reverse()
      .map(({ submission_id: id }) => ({ id, answer: null })),
  );
  buttons.undo.disabled = given.length === 0;
}

async function next({ quietly = false } = {}) {
  clearTimeout(checking);
  view?.stop();
  view = null;
  if (!quietly) fill(main, h("p", { class: "loading" }, "Fetching the next one …"));
  try {
    const task = await post(path("/tasks/next"));
    if (task.nothing) await nothing(task);
    else if (outbox.pending().some(({ body }) => body.task_id === task.task_id && body.fence === task.fence))
      onItsWay();
    else show(task);
  } catch (error) {
    failed(error);
  }
}

// The server's open task has its answer in the outbox already.
function onItsWay() {
  message("Your last answer is on its way", "It is kept on this device. The next one comes once it is stored.");
  waitAndGoOn();
}

function waitAndGoOn() {
  const look = () => {
    if (outbox.pending().length) return;
    outbox.removeEventListener("change", look);
    next();
  };
  outbox.addEventListener("change", look);
  outbox.flush();
}

function show(task, answer = null) {
  clearTimeout(checking);
  view?.stop();
  view = taskView({ task, mine, draft: readDraft(slug, task), answer, onSubmit: submit, onSkip: skip, onChange: keep });
  fill(main, view.element);
  view.begin();
  window.scrollTo(0, 0);
  focusOn(view.heading);
  if (paused) pause(true);
}

function keep() {
  if (view && !view.feedback) saveDraft(slug, view.task, view.draft());
}

async function submit() {
  if (busy || !view || paused || view.feedback) return;
  const why = view.closed();
  if (why) {
    announce(why);
    return view.pointOut();
  }
  const answer = view.widget.answer();
  await send({ kind: "answer", answer });
}

async function skip() {
  if (busy || !view || paused || view.feedback) return;
  const of = view;
  const said = await held("skip", askWhy(mine.settings?.skip_reasons ?? ["Something else"]));
  if (said && view === of)
    await send({ kind: "skip", reason: said.reason, ...(said.comment && { comment: said.comment }) });
}

async function send(what) {
  busy = true;
  const of = view;
  const { task_id, fence } = of.task;
  const body = {
    submission_id: newId(),
    task_id,
    fence,
    ...what,
    timing: of.stopwatch.report(),
    client_at: Date.now() / 1_000,
  };
  of.stop();
  of.lock();
  const waiting = outbox.submit(slug, body);
  dropDraft(slug, of.task);
  const slow = setTimeout(
    () => message("Your answer is kept", "It is sent as soon as the server can be reached, and the next one follows."),
    2_500,
  );
  const { receipt, refused } = await waiting;
  clearTimeout(slow);
  busy = false;
  if (view !== of) return;
  if (refused)
    await openDialog({
      title: "The server did not take this answer",
      kind: "small",
      body: h("p", {}, `${refused.message}. It is kept on this device; see the line at the bottom.`),
    }).closed;
  else await taken(body, receipt, of);
  await next({ quietly: true });
}

async function taken(body, receipt, of) {
  bar.step(receipt.calibration ? "practice" : body.kind);
  if ((counted += 1) % 10 === 0)
    get(path("/mine"))
      .then((now) => {
        mine = now;
        bar.show(now);
      })
      .catch(() => {});
  if (receipt.calibration) {
    if (!of.element.isConnected) fill(main, of.element);
    of.feedback = feedback(receipt.calibration, tellAnswer(mine.task));
    of.showFeedback(of.feedback.element);
    focusOn(of.feedback.heading);
    await of.feedback.gone;
    return;
  }
  given.push({ id: body.submission_id, answer: body.answer ?? null });
  if (given.length > 10) given.shift();
  buttons.undo.disabled = false;
  announce(receipt.status === "skipped" ? "Skipped." : "Stored.");
}

async function undo() {
  const last = given.at(-1);
  if (busy || paused || !last || view?.feedback) return;
  busy = true;
  keep();
  try {
    const { task } = await post(path(`/submissions/${encodeURIComponent(last.id)}/undo`), { submission_id: newId() });
    given.pop();
    bar.step("undo");
    show(task, last.answer);
    announce("Taken back: here it is again.");
  } catch (error) {
    if (error instanceof Refused && error.status === 409) given.pop();
    await openDialog({ title: "It could not be taken back", kind: "small", body: h("p", {}, `${error.message}.`) })
      .closed;
  } finally {
    busy = false;
    buttons.undo.disabled = given.length === 0;
  }
}

function pause(on) {
  if (!view || view.feedback) return;
  paused = on;
  view.pause(on, () => pause(false));
  buttons.pause.textContent = on ? "Go on" : "Pause";
  announce(on ? "Paused. The clock stands." : "Going on.");
  const expired = view.task.expires_at && moment(view.task.expires_at) < Date.now();
  if (!on && expired) next();
}

const moment = (value) => (typeof value === "number" ? value * 1_000 : Date.parse(value));

async function nothing({ retryAfter, reason }) {
  mine = await get(path("/mine")).catch(() => mine);
  bar.show(mine);
  panel(endPanel({ mine, retryAfter, reason, again: next }));
  checking = setTimeout(next, Math.max(30, Math.min(retryAfter ?? 60, 600)) * 1_000);
}

function panel({ element, heading }) {
  fill(main, element);
  focusOn(heading);
}

const message = (title, words, again = null) => panel(messagePanel({ title, words, again }));

function failed(error) {
  if (error instanceof OtherAccount) return someoneElse(error.name_now, currentSession().name);
  const refused = error instanceof Refused;
  message(
    refused ? "That did not work" : "The server cannot be reached",
    refused ? `${error.message}.` : "Your answers are kept on this device. This page goes on by itself.",
    mine && next,
  );
  if (!(refused && !error.passing) && mine) checking = setTimeout(next, (error.retryAfter ?? 5) * 1_000);
  if (!refused && error.name !== "Error") console.error(error);
}

window.addEventListener("online", () => {
  if (mine && !view) next();
});
