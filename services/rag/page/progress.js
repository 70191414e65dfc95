/** What an answer waits for, and for how long. */

import { announce, el } from "/static/dom.js";

const SENTENCES = {
  sending: "Sending the question …",
  retrieving: "Searching the documents …",
  waking: "The model is waking up …",
  generating: "Writing the answer …",
};
const WAKING = "It sleeps when it is not used and takes a few minutes to start. Your question is kept: leave this page open.";
// Shorter waits need no clock.
const SHOW_AFTER_SECONDS = 3;

/** A line with a sentence and the seconds since the state began. */
export class Progress {
  #sentence = el("span");
  // The clock is for the eye: heard every second it would drown the rest.
  #clock = el("span", { class: "clock", "aria-hidden": "true" });
  #detail = el("p", { class: "small", hidden: true });
  #state = "";
  #since = 0;
  #timer = 0;

  /** The element to put on the page. */
  element = el(
    "div",
    { class: "progress" },
    el("p", {}, el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")), this.#sentence, this.#clock),
    this.#detail,
  );

  /**
   * Enters a state, or hears of the one it is in again.
   *
   * @param {string} state `sending`, `retrieving`, `waking` or `generating`; others are shown as they are called
   */
  show(state) {
    const more = state === "waking" ? WAKING : "";
    this.#detail.textContent = more;
    this.#detail.hidden = more === "";
    if (state !== this.#state) {
      this.#state = state;
      this.#since = performance.now();
      this.#sentence.textContent = SENTENCES[state] ?? `${state} …`;
      announce(`${this.#sentence.textContent} ${more}`.trim());
    }
    this.element.hidden = false;
    this.#tick();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), 500);
  }

  /** Leaves the page. */
  hide() {
    clearInterval(this.#timer);
    this.#state = "";
    this.element.hidden = true;
  }

  #tick() {
    const seconds = Math.floor((performance.now() - this.#since) / 1000);
    this.#clock.textContent = seconds < SHOW_AFTER_SECONDS ? "" : clock(seconds);
  }
}

/** `42 s`, `3 min 05 s`. */
export function clock(seconds) {
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}
