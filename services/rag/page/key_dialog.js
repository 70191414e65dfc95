/** Asks for the API key, and forgets it. */

import { announce, byId } from "/static/dom.js";
import { forgetKey, loadKey, saveKey } from "/static/storage.js";

/** The dialog; one promise per time that it is open. */
export class KeyDialog {
  #dialog = byId("key-dialog");
  #field = byId("key");
  #remember = byId("key-remember");
  #problem = byId("key-problem");
  #answer = () => {};

  constructor() {
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    byId("key-cancel").addEventListener("click", () => this.#dialog.close());
    byId("key-forget").addEventListener("click", () => {
      forgetKey();
      this.#dialog.close();
      announce("The key is forgotten.");
    });
    byId("key-reveal").addEventListener("click", () => this.#reveal(this.#field.type === "password"));
    // Escape and the back gesture of a phone close it too.
    this.#dialog.addEventListener("close", () => {
      this.#field.value = "";
      this.#answer(loadKey()?.key ?? "");
    });
  }

  /**
   * Opens the dialog.
   *
   * @param {string} problem what is wrong with the key so far
   * @returns {Promise<string>} the key that is kept when it closes; empty when there is none
   */
  ask(problem = "") {
    const kept = loadKey();
    this.#remember.checked = kept?.remembered ?? false;
    this.#field.placeholder = kept ? "A key is set" : "";
    byId("key-forget").hidden = kept === null;
    this.#reveal(false);
    this.#complain(problem);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#field.focus();
    return new Promise((resolve) => {
      this.#answer = resolve;
    });
  }

  #save() {
    const kept = loadKey();
    const key = this.#field.value.trim() || kept?.key || "";
    if (!/^[\x21-\x7e]+$/.test(key)) {
      this.#complain(key ? "A key has no spaces and no special letters." : "Please enter a key.");
      this.#field.focus();
      return;
    }
    saveKey(key, this.#remember.checked);
    this.#dialog.close();
  }

  #complain(problem) {
    this.#problem.textContent = problem;
    this.#problem.hidden = problem === "";
    this.#field.setAttribute("aria-invalid", String(problem !== ""));
  }

  #reveal(visible) {
    this.#field.type = visible ? "text" : "password";
    byId("key-reveal").setAttribute("aria-pressed", String(visible));
    byId("key-reveal").textContent = visible ? "Hide" : "Show";
  }
}
