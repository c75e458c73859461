// Who can be relied on, what bias they show, and how far they agree.

import { get } from "../api.js";
import { h } from "../dom.js";
import { interval, isNumber, number, percent, table, verdict } from "./numbers.js";

const LOG_ODDS = { from: -2, to: 2, zero: 0 };
const SHARE = { show: percent };

export async function qualityView({ path }) {
  const [quality, names] = await Promise.all([get(path("/quality")), people(path)]);
  return [
    annotators(quality.annotators ?? [], names),
    agreement(quality.agreement),
    traps(quality.traps),
    checks(quality.checks ?? []),
    arm(quality.arm),
  ];
}

// Statistics know annotators by their names in exports; a lead has to know who that is.
export async function people(path) {
  const { members } = await get(path("/members")).catch(() => ({ members: [] }));
  return (handle) => {
    const member = members.find((each) => each.handle === handle);
    return member && member.name !== handle ? [member.name, h("span", { class: "hint" }, ` ${handle}`)] : handle;
  };
}

function annotators(list, names) {
  const notes = list.map(({ reasons }) => reasons?.length > 0 && `${reasons.join("; ")}.`);
  const rows = list.map((who) => [
    names(who.name ?? who.handle),
    number(who.judgements),
    verdict(who.verdict),
    interval(who.reliability, SHARE),
    interval(who.side, LOG_ODDS),
    interval(who.agreement, LOG_ODDS),
    speed(who.speed),
    interval(who.traps, SHARE),
    interval(who.flips, SHARE),
  ]);
  return h(
    "section",
    { class: "block" },
    h(
      "p",
      { class: "hint" },
      "Reliability is the chance that a judgement says what its annotator holds. Side and agreement are log odds: 0 " +
        "is no side, and going along with the user as often as the others do; the bar is the interval. Nobody is " +
        "judged by whether they agree with the majority.",
    ),
    table({
      caption: "Annotators",
      columns: [
        "Name",
        "Judged",
        "Verdict",
        "Reliability",
        "Side bias",
        "Agreement",
        "Speed",
        "Traps right",
        "Retests flipped",
      ],
      rows,
      notes,
      empty: "Nobody has judged yet.",
    }),
  );
}

function speed(value) {
  if (!value) return "–";
  if (!isNumber(value.seconds_median)) return "–";
  return h(
    "span",
    { class: "interval" },
    `${number(value.seconds_median, 1)} s`,
    isNumber(value.words_per_minute) &&
      h("span", { class: "range limits" }, `${Math.round(value.words_per_minute)} words/min`),
  );
}

function agreement(values) {
  const rows = Object.entries(values ?? {})
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [
      NAMES[name] ?? name.replaceAll("_", " "),
      typeof value === "object" || isNumber(value) ? interval(value, { from: -0.2, to: 1, zero: 0 }) : String(value),
    ]);
  return h(
    "section",
    { class: "block" },
    h("h3", {}, "Agreement"),
    table({
      caption: "Agreement",
      columns: ["Measure", "Value"],
      rows,
      empty: "Too few items with several labels yet.",
    }),
  );
}

const NAMES = { alpha: "Krippendorff's alpha" };

export function checks(list) {
  if (!list.length) return null;
  return h(
    "section",
    { class: "block" },
    h("h3", {}, "Checks of the labels"),
    h(
      "ul",
      { class: "checks" },
      list.map((check) =>
        h(
          "li",
          {},
          h("div", {}, verdict(check.verdict)),
          h(
            "div",
            {},
            h("strong", {}, check.title),
            check.meaning && h("p", {}, check.meaning),
            check.advice && h("p", { class: "hint" }, check.advice),
          ),
        ),
      ),
    ),
  );
}

function traps(value) {
  if (!value?.kinds?.length) return null;
  const rows = value.kinds.map((kind) => [
    kind.title ?? kind.trap,
    interval(kind.accuracy, SHARE),
    interval(kind.less_plain, { from: -1, to: 1, zero: 0, show: percent }),
  ]);
  return h(
    "section",
    { class: "block" },
    h("h3", {}, "Gold items"),
    h("p", {}, "Right in all: ", interval(value.overall, SHARE)),
    table({ caption: "Gold items by kind", columns: ["What tempts", "Right", "Difference from plain ones"], rows }),
  );
}

const ARM = {
  difference: [
    "What stating the belief does to the chance that the agreeing reply wins",
    { from: -1, to: 1, zero: 0, show: percent },
  ],
  log_odds: ["The same in log odds", LOG_ODDS],
  shown: ["Agreeing reply preferred, belief shown", SHARE],
  hidden: ["Agreeing reply preferred, belief hidden", SHARE],
};

function arm(value) {
  if (!value) return null;
  const rows = Object.entries(value)
    .filter(([name]) => name !== "meaning")
    .map(([name, each]) => {
      const [words, scale] = ARM[name] ?? [name.replaceAll("_", " "), LOG_ODDS];
      return [
        words,
        typeof each === "object" && each !== null && !Array.isArray(each)
          ? interval(each, scale)
          : isNumber(each)
            ? number(each)
            : String(each),
      ];
    });
  return h(
    "section",
    { class: "block" },
    h("h3", {}, "The arm that hides the user's belief"),
    h(
      "p",
      { class: "hint" },
      "The same replies, with the user's belief shown to some and hidden from others at random: the difference is " +
        "caused by the belief.",
    ),
    value.meaning && h("p", {}, value.meaning),
    table({ caption: "Belief-hiding arm", columns: ["Measure", "Value"], rows }),
  );
}
