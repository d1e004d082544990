import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StreamRequestSchema } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Cursor } from "../../../gen/parlance/chat/v1/cursor_pb.js";
import { CloseReason, type ServerEvent } from "../../../gen/parlance/chat/v1/event_pb.js";
import type { Clients } from "../../support/clients.ts";
import { failureIn } from "../../support/errors.ts";
import { seenEvent } from "../clients/seen-event.ts";
import type { SeenEvent } from "../history.ts";
import type { Opening, OpenOptions } from "./device-model.ts";
import { Mismatch } from "./operations.ts";

type Request = NonNullable<MessageInitShape<typeof StreamRequestSchema>["request"]>;

/** The longest anything on a stream may take, in milliseconds. */
const patienceMs = 10_000;

/** A stream of a device, whose reader can stop reading and go on. */
export class Reader {
  /** The log events received, in order. */
  readonly events: SeenEvent[] = [];
  /** Why the server said it ends the stream. */
  closed: string | undefined;
  /** Resolves when it is over: with undefined, or with the error it ended with. */
  readonly ended: Promise<unknown>;
  readonly #abort = new AbortController();
  readonly #replies = new Map<string, (event: ServerEvent["event"]) => void>();
  readonly #requests: MessageInitShape<typeof StreamRequestSchema>[] = [];
  #behind: Opening["behind"];
  #epoch = "";
  #lastRequest = 0;
  #gate: Promise<void> | undefined;
  #openGate: (() => void) | undefined;
  #wakeSender: (() => void) | undefined;
  #onEvents: (() => void) | undefined;
  #over = false;
  #noMore = false;

  constructor(chat: Clients["chat"]) {
    this.ended = this.#read(chat.stream(this.#outgoing(), { signal: this.#abort.signal }));
  }

  /** Whether it is open and read. */
  get reading(): boolean {
    return this.#gate === undefined && !this.#over;
  }

  /** Opens it. @param epoch of the log, where a position is given */
  async open({ resumeFrom, replayLimit }: OpenOptions, epoch: string): Promise<Opening> {
    const from = resumeFrom === undefined ? {} : { resumeFrom: { epoch, position: BigInt(resumeFrom) } };
    const { case: kind, value } = await this.ask({ case: "open", value: { replayLimit, ...from } });
    if (kind !== "opened")
      throw new Mismatch(
        "I14",
        `open was answered ${refusalIn({ case: kind, value } as ServerEvent["event"]) ?? kind}`,
      );
    const cursor = value.cursor as Cursor;
    this.#epoch = cursor.epoch;
    // `behind` follows at once if it comes, so a pong comes after it.
    await this.ask({ case: "ping", value: {} });
    return { position: Number(cursor.position), resumed: value.resumed, behind: this.#behind };
  }

  /** The epoch of the log. */
  get epoch(): string {
    return this.#epoch;
  }

  /** Sends a request and waits for the reply. Rejects when the stream ends before. */
  ask(request: Request): Promise<ServerEvent["event"]> {
    const requestId = `r${++this.#lastRequest}`;
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(new Error("the stream is over"));
      const late = setTimeout(
        () => reject(new Mismatch("I12", `no reply to ${request.case} within ${patienceMs / 1000} s`)),
        patienceMs,
      );
      this.#replies.set(requestId, (reply) => {
        clearTimeout(late);
        if (reply.case === undefined) reject(new Error("the stream ended without a reply"));
        else resolve(reply);
      });
      this.#requests.push({ requestId, request });
      this.#wakeSender?.();
    });
  }

  /** Takes nothing more from the connection. */
  stopReading(): void {
    if (this.#gate !== undefined) return;
    this.#gate = new Promise((resolve) => {
      this.#openGate = resolve;
    });
  }

  /** Reads on. */
  goOn(): void {
    this.#gate = undefined;
    this.#openGate?.();
  }

  /** Waits until an event is there, the stream ends or it takes too long. */
  async until(conversationId: string, seq: number): Promise<void> {
    const isThere = () =>
      this.events.some((event) => event.conversationId === conversationId && event.seq === seq);
    const late = delay(patienceMs, undefined, { ref: false });
    let isLate = false;
    void late.then(() => {
      isLate = true;
    });
    while (!isThere() && !this.#over && !isLate) {
      const more = new Promise<void>((resolve) => {
        this.#onEvents = resolve;
      });
      await Promise.race([more, late]);
    }
  }

  /** Breaks it off. */
  async cancel(): Promise<void> {
    this.goOn();
    this.#abort.abort();
    await this.ended;
  }

  /** Says that no more requests come, and waits for the end. */
  async finish(): Promise<unknown> {
    this.goOn();
    this.#noMore = true;
    this.#wakeSender?.();
    const late = delay(patienceMs, "late" as const, { ref: false });
    const how = await Promise.race([this.ended, late]);
    if (how === "late") await this.cancel();
    return how;
  }

  async #read(responses: AsyncIterable<{ events: ServerEvent[] }>): Promise<unknown> {
    try {
      for await (const { events } of responses) {
        for (const event of events) this.#receive(event);
        this.#onEvents?.();
        await this.#gate;
      }
      return undefined;
    } catch (error) {
      return error;
    } finally {
      this.#over = true;
      this.#onEvents?.();
      this.#wakeSender?.();
      for (const reply of this.#replies.values()) reply({ case: undefined });
    }
  }

  #receive(event: ServerEvent): void {
    const seen = seenEvent(event);
    if (seen !== undefined) this.events.push(seen);
    const { case: kind, value } = event.event;
    if (kind === "behind") {
      const { cursor, lastSeqs, firstSeqs } = value;
      this.#behind = {
        lastSeqs: { ...this.#behind?.lastSeqs, ...numbers(lastSeqs) },
        firstSeqs: { ...this.#behind?.firstSeqs, ...numbers(firstSeqs) },
        position: Number(cursor?.position),
      };
    }
    if (kind === "closed") this.closed = CloseReason[value.reason];
    const reply = this.#replies.get(event.requestId);
    if (reply === undefined) return;
    this.#replies.delete(event.requestId);
    reply(event.event);
  }

  async *#outgoing() {
    while (!this.#over) {
      const request = this.#requests.shift();
      if (request !== undefined) yield request;
      else if (this.#noMore) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeSender = resolve;
        });
    }
  }
}

function numbers(seqs: Record<string, bigint>): Record<string, number> {
  return Object.fromEntries(Object.entries(seqs).map(([id, seq]) => [id, Number(seq)]));
}

/** The reason of a refusal; undefined when the reply is none. */
export function refusalIn(reply: ServerEvent["event"]): string | undefined {
  return reply.case === "refusal" ? failureIn(reply.value).reasonName : undefined;
}
