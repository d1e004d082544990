/** Callers that speak JSON over HTTP/1.1, as browsers and `curl` do. */

import { Agent, type IncomingMessage, request } from "node:http";
import type { EventCounts } from "./events.ts";
import type { Done } from "./fan-out.ts";
import type { OnMessage } from "./message-reader.ts";
import { body, type MessageIds } from "./sends.ts";

/** How to make sends. */
export interface JsonSendOptions {
  address: string;
  path: string;
  tokens: readonly string[];
  ids: MessageIds;
}

/** Each of several users sends, again as soon as the last message was answered. */
export class JsonSends {
  readonly #options: JsonSendOptions;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(options: JsonSendOptions) {
    this.#options = options;
  }

  /** Sends for some time and resolves once all is answered. */
  async run(seconds: number): Promise<Done> {
    const startMs = performance.now();
    const endMs = startMs + seconds * 1000;
    let units = 0;
    const send = async (token: string): Promise<void> => {
      do {
        await this.#send(token);
        units++;
      } while (performance.now() < endMs);
    };
    await Promise.all(this.#options.tokens.map(send));
    return { units, seconds: (performance.now() - startMs) / 1000 };
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(token: string): Promise<void> {
    const { address, path, ids } = this.#options;
    const message = { recipientId: "recipient", content: { text: { body } }, clientMessageId: ids.next() };
    const response = await post(address, path, token, JSON.stringify(message), this.#agent);
    for await (const _ of response);
    if (response.statusCode !== 200) throw new Error(`a send was answered with ${response.statusCode}`);
  }
}

const message = Buffer.from('"message":{');

/** A `Listen` call in lines of JSON that counts the messages it receives. */
export class JsonListener {
  onReceived: OnMessage | undefined;
  readonly #response: IncomingMessage;

  private constructor(response: IncomingMessage, counts: EventCounts) {
    this.#response = response;
    response.on("data", (chunk: Buffer) => {
      // A line is far shorter than what is read at a time, so none is torn while there is one at a time.
      for (let at = chunk.indexOf(message); at >= 0; at = chunk.indexOf(message, at + 1)) counts.log++;
      this.onReceived?.(chunk, 0, chunk.length);
    });
  }

  /** Opens a session on a connection of its own and resolves once it has caught up. */
  static async open(
    address: string,
    path: string,
    token: string,
    counts: EventCounts,
  ): Promise<JsonListener> {
    const response = await post(address, path, token, "{}", new Agent());
    const listener = new JsonListener(response, counts);
    await new Promise<void>((resolve) => {
      let text = "";
      listener.onReceived = (chunk) => {
        text += chunk;
        if (text.includes('"caughtUp"')) resolve();
      };
    });
    return listener;
  }

  close(): void {
    this.#response.destroy();
  }
}

function post(
  address: string,
  path: string,
  token: string,
  text: string,
  agent: Agent,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = {
      "content-type": "application/json",
      authorization: `Bearer ${token}`,
      "content-length": Buffer.byteLength(text),
    };
    request(`http://${address}${path}`, { method: "POST", headers, agent }, resolve)
      .on("error", reject)
      .end(text);
  });
}
