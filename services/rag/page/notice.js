/** Says why an answer is missing or incomplete, and offers to try again. */

import { announce, el, icon } from "/static/dom.js";
import { clock } from "/static/progress.js";

/**
 * The notice under a turn that did not end well.
 *
 * @param {{message: string, requestId: string, retryAfter: number|null, calm?: boolean}} failure `retryAfter` in seconds
 *   from now; `calm` when nothing went wrong
 * @param {() => void} onRetry
 */
export function notice({ message, requestId, retryAfter, calm = false }, onRetry) {
  const retry = el("button", { type: "button", class: "quiet retry", onclick: onRetry }, icon("retry"), "Try again");
  const wait = el("p", { class: "small wait", hidden: true });
  const element = el(
    "div",
    { class: calm ? "notice calm" : "notice", role: "group", "aria-label": calm ? "Note" : "Problem" },
    el("p", {}, message),
    wait,
    el("div", { class: "notice-row" }, retry, requestId ? el("span", { class: "small request-id" }, `Request ${requestId}`) : null),
  );
  announce(retryAfter ? `${message} You can try again in ${clock(retryAfter)}.` : message);
  if (retryAfter) countDown(element, wait, retry, retryAfter);
  return element;
}

/** Counts by the clock on the wall: a tab in the background is woken rarely. */
function countDown(element, wait, retry, seconds) {
  const end = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    retry.disabled = left > 0;
    wait.textContent = left > 0 ? `You can try again in ${clock(left)}.` : "You can try again now.";
    if (left > 0 && (element.isConnected || left === seconds)) return;
    clearInterval(timer);
    if (element.isConnected) announce("You can try again now.");
  };
  const timer = setInterval(tick, 500);
  wait.hidden = false;
  tick();
}
