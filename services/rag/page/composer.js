/** The box in which a question is written. */

import { byId, el, icon } from "/static/dom.js";

const TALLEST_PX = 220;
// The room that is left is of interest when little of it is.
const COUNT_FROM_LEFT = 500;

/** Text box, author and the button that sends or stops. */
export class Composer {
  #question = byId("question");
  #author = byId("author");
  #button = byId("send");
  #busy = false;

  /** @param {{onAsk: (question: string, author: string) => void, onStop: () => void}} hooks */
  constructor({ onAsk, onStop }) {
    const submit = () => {
      const text = this.#question.value.trim();
      if (this.#busy || text === "") return;
      this.fill("");
      onAsk(text, this.#author.value.trim());
    };
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#busy) onStop();
      else submit();
    });
    this.#question.addEventListener("input", () => this.#fit());
    this.#question.addEventListener("keydown", (event) => {
      // While a word is being composed, Enter chooses it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    });
    this.#author.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      this.#question.focus();
    });
    document.addEventListener("keydown", (event) => {
      // In a dialog, Escape is the dialog's.
      if (event.key === "Escape" && this.#busy && !event.isComposing && !document.querySelector("dialog[open]")) onStop();
    });
    this.busy = false;
    this.#fit();
  }

  /** Whether an answer is being written. One button for both, so that focus stays where it is. */
  set busy(busy) {
    this.#busy = busy;
    this.#button.replaceChildren(icon(busy ? "stop" : "send"));
    this.#button.setAttribute("aria-label", busy ? "Stop" : "Send");
    this.#button.title = busy ? "Stop (Esc)" : "Send (Enter)";
    this.#button.classList.toggle("stop", busy);
  }

  /** Puts text into the box. */
  fill(text) {
    this.#question.value = text;
    this.#fit();
  }

  /** Moves focus to the end of the text. */
  focus() {
    this.#question.focus();
    this.#question.setSelectionRange(this.#question.value.length, this.#question.value.length);
  }

  /** Offers these authors. */
  set authors(names) {
    byId("authors").replaceChildren(...names.map((name) => el("option", { value: name })));
  }

  #fit() {
    this.#question.style.height = "auto";
    this.#question.style.height = `${Math.min(this.#question.scrollHeight, TALLEST_PX)}px`;
    const left = this.#question.maxLength - this.#question.value.length;
    byId("count").hidden = left >= COUNT_FROM_LEFT;
    byId("count").textContent = `${left} characters left`;
  }
}
