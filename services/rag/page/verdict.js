/** Thumbs up and down, and why not. */

import { sendFeedback } from "/static/api.js";
import { announce, el, icon } from "/static/dom.js";
import { loadKey } from "/static/storage.js";

const MAX_REASON_CHARS = 500;

/**
 * The two buttons and what follows them.
 *
 * @param {{traceId: string, score: 0|1|null, onScore: (score: 0|1) => void}} answer
 * @returns {{buttons: Element[], more: Element}} `more` holds the reason's form and the outcome
 */
export function verdict({ traceId, score, onScore }) {
  const up = thumb("up", "Good answer");
  const down = thumb("down", "Bad answer");
  const more = el("div", { class: "verdict" });
  const press = (given) => {
    up.setAttribute("aria-pressed", String(given === 1));
    down.setAttribute("aria-pressed", String(given === 0));
  };
  const send = async (given, reason) => {
    const before = score;
    press(given);
    const outcome = await deliver(traceId, given, reason);
    if (outcome === "") {
      score = given;
      onScore(given);
    } else press(before);
    return outcome;
  };
  press(score);
  up.addEventListener("click", async () => say(more, (await send(1, "")) || "Thank you."));
  down.addEventListener("click", async () => {
    const problem = await send(0, "");
    if (problem) say(more, problem);
    else askWhy(more, (reason) => send(0, reason));
  });
  return { buttons: [up, down], more };
}

function thumb(direction, label) {
  return el("button", { type: "button", class: `tool ${direction}`, "aria-label": label, title: label, "aria-pressed": "false" }, icon("thumb"));
}

/** Sends a verdict; an empty sentence when it arrived. */
async function deliver(traceId, score, reason) {
  try {
    await sendFeedback({ traceId, score, reason, key: loadKey()?.key ?? "" });
    return "";
  } catch (error) {
    return `The feedback was not saved: ${error.message}`;
  }
}

function askWhy(more, send) {
  const field = el("input", { type: "text", maxlength: MAX_REASON_CHARS, autocomplete: "off", placeholder: "optional" });
  const form = el("form", { class: "why" }, el("label", {}, "What was wrong?", field), el("button", { type: "submit", class: "quiet" }, "Send"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const reason = field.value.trim();
    say(more, (reason && (await send(reason))) || "Thank you.");
  });
  more.replaceChildren(form);
  form.scrollIntoView({ block: "nearest" });
  announce("Thank you. You can say what was wrong.");
}

function say(more, sentence) {
  more.replaceChildren(el("p", { class: "small" }, sentence));
  announce(sentence);
}
