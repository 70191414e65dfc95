/** Server-Sent Events from the body of a fetch(): EventSource can neither POST nor send a key. */

/** Cuts text into events; lines and line ends may be split anywhere between two calls of `push`. */
export class EventParser {
  #rest = "";
  #name = "";
  #data = [];

  /**
   * Takes the next piece of text.
   *
   * @param {string} text
   * @returns {Generator<{name: string, data: string}>} the events that it completes
   */
  *push(text) {
    // A carriage return at the very end may be the first half of a line end: it waits for what follows.
    const held = this.#rest + text;
    const end = held.endsWith("\r") ? held.length - 1 : held.length;
    const lines = held.slice(0, end).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + held.slice(end);
    for (const line of lines) {
      if (line !== "") this.#field(line);
      else if (this.#data.length > 0) {
        yield { name: this.#name || "message", data: this.#data.join("\n") };
        this.#reset();
      } else this.#reset();
    }
  }

  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#name = value;
    else if (name === "data") this.#data.push(value);
  }

  #reset() {
    this.#name = "";
    this.#data = [];
  }
}

/**
 * The events of a body of bytes. An event that the end of the stream cuts off is not one.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{name: string, data: string}>}
 */
export async function* readEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder(); // keeps the half of a character that a chunk ends with
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => {}); // a stream that is broken already is as good as cancelled
  }
}
