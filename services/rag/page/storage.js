/** What the browser keeps: the API key and this tab's conversation. */

const KEY = "llm-twin.key";
const CONVERSATION = "llm-twin.conversation";

// A browser may refuse to store anything; then this tab remembers until it is closed or reloaded.
let keyInMemory = "";

/** The key and whether it outlives the tab; null when there is none. */
export function loadKey() {
  const remembered = read("localStorage", KEY);
  const key = remembered || read("sessionStorage", KEY) || keyInMemory;
  return key ? { key, remembered: Boolean(remembered) } : null;
}

/** Keeps a key for this tab, or on this device. */
export function saveKey(key, remember) {
  forgetKey();
  keyInMemory = key;
  write(remember ? "localStorage" : "sessionStorage", KEY, key);
}

/** Removes the key everywhere. */
export function forgetKey() {
  keyInMemory = "";
  write("localStorage", KEY, null);
  write("sessionStorage", KEY, null);
}

/** The turns that a reload of this tab left; none when there is nothing, or nothing of ours. */
export function loadConversation() {
  try {
    const turns = JSON.parse(read("sessionStorage", CONVERSATION) ?? "[]");
    return turns.every(isTurn) ? turns : [];
  } catch {
    return [];
  }
}

function isTurn({ question, answer, sources }) {
  return typeof question === "string" && typeof answer === "string" && Array.isArray(sources);
}

/** Keeps the turns until the tab is closed. */
export function saveConversation(turns) {
  write("sessionStorage", CONVERSATION, turns.length > 0 ? JSON.stringify(turns) : null);
}

function read(area, name) {
  try {
    return window[area].getItem(name);
  } catch {
    return null;
  }
}

function write(area, name, value) {
  try {
    if (value === null) window[area].removeItem(name);
    else window[area].setItem(name, value);
  } catch {
    // Full or forbidden: the page works without.
  }
}
