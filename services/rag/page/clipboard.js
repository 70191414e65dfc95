/** Copying. */

import { announce, el, icon } from "/static/dom.js";

const SHOWN_MS = 2000;

/** A button that copies what `text` returns when it is pressed, and says whether that worked. */
export function copyButton(text) {
  const button = el("button", { type: "button", class: "tool", "aria-label": "Copy answer", title: "Copy answer" }, icon("copy"));
  let timer = 0;
  const show = (name, sentence) => {
    button.replaceChildren(icon(name));
    button.classList.toggle("done", name === "check");
    if (sentence) announce(sentence);
  };
  button.addEventListener("click", async () => {
    const copied = await copy(text());
    show(copied ? "check" : "copy", copied ? "Answer copied." : "The browser does not allow copying.");
    clearTimeout(timer);
    timer = setTimeout(show, SHOWN_MS, "copy", "");
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

/** The older way, for pages that came over plain HTTP: there the clipboard object is missing. */
function copySelected(text) {
  const focused = document.activeElement;
  const field = el("textarea", { class: "unseen", "aria-hidden": "true", tabindex: "-1" });
  field.value = text;
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } finally {
    field.remove();
    focused?.focus();
  }
}
