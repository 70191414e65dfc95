/** The page: a conversation with the service. */

import { ask, Failure } from "/static/api.js";
import { Composer } from "/static/composer.js";
import { announce, byId } from "/static/dom.js";
import { KeyDialog } from "/static/key_dialog.js";
import { loadConversation, loadKey, saveConversation } from "/static/storage.js";
import { newTurn, TurnView } from "/static/turn.js";

// A reader this close to the end wants to see what comes next.
const NEAR_END_PX = 120;
// Half of what the service takes by default: the question needs room as well.
const MAX_HISTORY_BYTES = 32_000;

const keyDialog = new KeyDialog();
const composer = new Composer({ onAsk: start, onStop: () => running?.abort() });
const hooks = { onRetry: run, onGrow: grown, onScore: keep };
let views = [];
let numbered = 0;
let running = null;
let follows = true;

function start(question, author) {
  if (running) return;
  follows = true;
  run(add(newTurn(question, author)), false);
}

function add(turn) {
  numbered += 1;
  const view = new TurnView(numbered, turn, hooks);
  views.push(view);
  byId("conversation").append(view.element);
  grown();
  return view;
}

/** Asks the question of a turn until it is answered, refused or stopped. */
async function run(view, again = true) {
  if (running) {
    announce("Another answer is being written.");
    return;
  }
  running = new AbortController();
  composer.busy = true;
  // The button that was pressed goes away with the notice around it.
  if (again) composer.focus();
  if (again) view.restart();
  try {
    await converse(view, running.signal);
    view.complete();
  } catch (error) {
    if (running.signal.aborted) view.stop();
    else view.fail(error instanceof Failure ? error : unexpected(error));
  } finally {
    running = null;
    composer.busy = false;
    keep();
  }
}

async function converse(view, signal) {
  const { question: query, author } = view.turn;
  const history = historyBefore(view);
  let key = loadKey()?.key ?? (await keyDialog.ask());
  for (;;) {
    if (!key) throw new Failure("no_key", "An API key is needed to ask.");
    try {
      for await (const { name, data } of ask({ query, author, history, key, signal })) {
        view.take(name, data);
      }
      return;
    } catch (error) {
      if (error.status !== 401) throw error;
      const refused = key;
      key = await keyDialog.ask("The service does not know this key. Please enter another one.");
      if (key === refused) throw error;
    }
  }
}

/** The messages of the complete turns before this one, oldest first; of a long conversation the newest that fit. */
function historyBefore(view) {
  const messages = [];
  let room = MAX_HISTORY_BYTES;
  for (const { turn } of views.slice(0, views.indexOf(view)).reverse()) {
    if (turn.state !== "done" || turn.answer.trim() === "") continue;
    const pair = [
      { role: "user", content: turn.question },
      { role: "assistant", content: turn.answer },
    ];
    room -= new TextEncoder().encode(JSON.stringify(pair)).length;
    if (room < 0) break;
    messages.unshift(...pair);
  }
  return messages;
}

function unexpected(error) {
  console.error(error);
  return new Failure("page", "The page could not read the answer.");
}

/** Keeps the conversation, and offers the authors that it has met. */
function keep() {
  const turns = views.map(({ turn }) => turn);
  saveConversation(turns.filter(({ state }) => state !== "running"));
  composer.authors = [...new Set(turns.flatMap(({ sources }) => sources.map(({ author }) => author)))].filter(Boolean).sort();
}

/** There is more to see, or less: those who look at the end stay there. */
function grown() {
  byId("welcome").hidden = views.length > 0;
  byId("new-conversation").hidden = views.length === 0;
  if (follows) toEnd();
  offerJump();
}

function toEnd() {
  window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
}

function nearEnd() {
  return window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - NEAR_END_PX;
}

function offerJump() {
  byId("jump").hidden = views.length === 0 || nearEnd();
}

window.addEventListener(
  "scroll",
  () => {
    follows = nearEnd();
    offerJump();
  },
  { passive: true },
);

byId("jump").addEventListener("click", () => {
  follows = true;
  toEnd();
  composer.focus();
});

byId("open-key").addEventListener("click", () => keyDialog.ask());

byId("new-conversation").addEventListener("click", () => {
  running?.abort();
  for (const { element } of views.splice(0)) element.remove();
  keep();
  grown();
  composer.focus();
  announce("A new conversation.");
});

for (const starter of document.querySelectorAll(".starter")) {
  starter.addEventListener("click", () => {
    composer.fill(starter.dataset.text);
    composer.focus();
  });
}

for (const turn of loadConversation()) add(turn);
keep();
if (loadKey()) composer.focus();
else keyDialog.ask().then(() => composer.focus());
