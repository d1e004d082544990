import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
import {
  type Behind,
  CloseReason,
  EventKind,
  type Opened,
  type ServerEvent,
} from "../../gen/parlance/chat/v1/event_pb.js";
import { MembershipChange } from "../../gen/parlance/chat/v1/group_pb.js";
import { ErrorReason, isOfServer, isTransient, ParlanceError, Status } from "./errors.ts";
import type { EventLog } from "./event-log.ts";
import type { ClientEvent, Place, ShownCase } from "./events.ts";
import type { Login } from "./login.ts";
import { Backoff, type BackoffOptions } from "./reconnect.ts";
import type { EventStream, StreamEnd, Streams } from "./streams.ts";
import { millis, sleep } from "./time.ts";

/** Whether a client gets events: `live` while a stream is open, `closed` for good. */
export type ClientState = "connecting" | "live" | "reconnecting" | "closed";

/** The parts of the client that `Live` needs. */
export interface LiveOptions {
  streams: Streams;
  login: Login;
  log: EventLog;
  /** How to open each stream, beside where to go on. */
  open: { eventKinds?: EventKind[]; replayLimit?: number };
  backoff: BackoffOptions | undefined;
  /** Shows an event to the application. */
  show: (event: ClientEvent) => void;
  /** Whether the application takes more for now. If not, `Live.makeRoom` is called once it does. */
  hasRoom: () => boolean;
  /** Reads what was missed from the history, showing it, until the signal aborts; undefined to show `behind` itself. */
  fetchMissed: ((behind: Behind, opened: Opened, signal: AbortSignal) => Promise<void>) | undefined;
  onState: (state: ClientState, error?: ParlanceError) => void;
  /** Told how long the client waits before it opens the next stream, and what ended the last. */
  onWait?: (waitMs: number, error: ParlanceError | undefined) => void;
}

/** A stream that lived this long was a good one: the next wait starts small again. */
const goodStreamMs = 5_000;
/** For how long a stream that was given up before it was open may still be opened by the server. */
const ownTriesMs = 30_000;
/** How long a client that closes waits for the server to end its stream. */
const endMs = 1_000;
/** After so many failures in a row that waiting does not help, reading what was missed is given up. */
const maxMissedFailures = 3;

/**
 * Keeps a stream open: opens the next when one ends, after the cursor the
 * client has got to, until it is closed or the server says to stay away.
 */
export class Live {
  readonly #options: LiveOptions;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  #wait = new AbortController();
  #session: EventStream | undefined;
  #opened: Opened | undefined;
  /** When to open the next stream at the earliest, on the monotonic clock. */
  #notBefore = 0;
  /** The events that came while the history is being read, for afterwards. */
  #held: ServerEvent[] | undefined;
  #refusals = 0;
  #missedFailures = 0;
  /** Aborted when the stream ends: what was begun for its sake is of no use to the next. */
  #streamOver = new AbortController();
  /** The error that ended the client, other than the server's. */
  #fatal: ParlanceError | undefined;
  /** When a stream last ended that was not opened. */
  #gaveUpMs = Number.NEGATIVE_INFINITY;
  #done: Promise<void> | undefined;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
  }

  /** Starts, and never rejects. */
  start(): void {
    this.#done = this.#run().catch((error: unknown) =>
      this.#options.onState("closed", asParlanceError(error)),
    );
  }

  /** Reads on: the application takes events again. */
  makeRoom(): void {
    if (this.#held === undefined) this.#session?.resume();
  }

  /** Ends the wait for the next try, if there is one. */
  retryNow(): void {
    this.#wait.abort();
  }

  /** Gives the open stream up, as it seems to be dead, and opens another. */
  fail(error: ParlanceError): void {
    this.#session?.fail(error);
  }

  /** Ends the stream, opens none any more, and has the client end with this error. */
  stop(error: ParlanceError): void {
    this.#fatal ??= error;
    this.#wait.abort();
    this.#session?.fail(error);
  }

  /** Ends the stream cleanly and opens none any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#wait.abort();
    this.#session?.resume();
    this.#session?.halfClose();
    const late = setTimeout(
      () => this.#session?.fail(new ParlanceError(Status.CANCELLED, "the client was closed")),
      endMs,
    );
    await this.#done;
    clearTimeout(late);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted && this.#fatal === undefined) {
      let end: StreamEnd;
      let token: string | undefined;
      try {
        token = await this.#options.login.token();
        if (this.#stop.signal.aborted || this.#fatal !== undefined) break;
        end = await this.#live(token);
      } catch (error) {
        end = { closed: undefined, error: asParlanceError(error), openMs: undefined };
      }
      this.#session = undefined;
      this.#streamOver.abort();
      if (end.openMs === undefined) this.#gaveUpMs = performance.now();
      this.#options.streams.endRequests();
      if (this.#stop.signal.aborted) break;

      const fatal = this.#fatal ?? this.#judge(end, token);
      if (fatal !== undefined) {
        this.#options.onState("closed", fatal);
        return;
      }
      const leave = end.error !== undefined && isOfServer(end.error);
      if (leave) this.#options.streams.renew();
      this.#wait = new AbortController();
      this.#options.onState("reconnecting");
      if ((end.openMs ?? 0) >= goodStreamMs) this.#backoff.reset();
      // How long a server that is out of service asks to stay away concerns no other.
      const askedByErrorMs = leave && this.#options.streams.hasOthers ? 0 : (end.error?.retryAfterMs ?? 0);
      const askedMs = millis(end.closed?.retryAfter) ?? askedByErrorMs;
      const waitMs = this.#backoff.next(Math.max(askedMs, this.#notBefore - performance.now()));
      this.#options.onWait?.(waitMs, end.error);
      await sleep(waitMs, this.#wait.signal);
    }
    this.#options.onState("closed", this.#fatal);
  }

  /** Lives one stream to its end. */
  #live(token: string): Promise<StreamEnd> {
    const { streams, log, open } = this.#options;
    log.startStream();
    this.#held = undefined;
    this.#streamOver = new AbortController();
    const from =
      log.epoch === ""
        ? open
        : { ...open, resumeFrom: { epoch: log.epoch, position: BigInt(log.resumePosition) } };
    return new Promise((resolve) => {
      const session = streams.open(token, from, {
        onOpened: (opened) => this.#onOpened(session, opened),
        onEvent: (event) => this.#onEvent(session, event),
        onEnd: resolve,
      });
      this.#session = session;
    });
  }

  #onOpened(session: EventStream, opened: Opened): void {
    this.#refusals = 0;
    this.#opened = opened;
    if (opened.cursor) this.#options.log.moveTo(opened.cursor.epoch, Number(opened.cursor.position));
    if (this.#options.hasRoom()) this.#options.streams.startRequests();
    else session.pause();
    this.#options.onState("live");
  }

  #onEvent(session: EventStream, event: ServerEvent): void {
    if (session !== this.#session) return;
    if (this.#held !== undefined) {
      this.#held.push(event);
      return;
    }
    const { log } = this.#options;
    const place = placeOf(event);
    if (place !== undefined) {
      const { conversationId, seq, cursor } = place;
      const verdict = log.take(conversationId, Number(seq), Number(cursor.position), this.#enters(event));
      if (verdict === "new") this.#showLogEvent(session, event.event, cursor, { conversationId, seq });
      else if (verdict === "gap") session.fail(gapError);
      return;
    }
    switch (event.event.case) {
      case "caughtUp": {
        const { cursor } = event.event.value;
        if (cursor) log.moveTo(cursor.epoch, Number(cursor.position));
        this.#show(session, event.event, cursor);
        return;
      }
      case "behind":
        this.#onBehind(session, event.event.value);
        return;
      case "drain":
        this.#onDrain(session, millis(event.event.value.reconnectAfter) ?? 0);
        return;
      case "receipt":
      case "typing":
      case "presence":
        this.#show(session, event.event, undefined);
    }
  }

  /** Shows an event of the log. One of a kind that this client does not know was counted, and that is all. */
  #showLogEvent(
    session: EventStream,
    event: ServerEvent["event"],
    cursor: Cursor | undefined,
    { conversationId, seq }: Place,
  ): void {
    if (event.case === undefined || event.case === "withheld") return;
    this.#hand(session, { ...event, cursor, place: { conversationId, seq } } as ClientEvent);
  }

  #show(
    session: EventStream,
    { case: name, value }: { case: ShownCase; value: unknown },
    cursor: Cursor | undefined,
  ): void {
    this.#hand(session, { case: name, value, cursor } as ClientEvent);
  }

  #hand(session: EventStream, event: ClientEvent): void {
    this.#options.show(event);
    if (this.#options.hasRoom() || !session.usable) return;
    session.pause();
    this.#options.streams.abandonRequests();
  }

  /** Whether the event makes this client's user a member. */
  #enters(event: ServerEvent): boolean {
    if (event.event.case !== "membershipChanged") return false;
    const { change, members } = event.event.value;
    if (change !== MembershipChange.JOINED && change !== MembershipChange.ADDED) return false;
    const userId = this.#options.login.current?.userId;
    return members.some((member) => member.userId === userId);
  }

  /** Reads the history before anything that follows on the stream. */
  #onBehind(session: EventStream, behind: Behind): void {
    const { fetchMissed, log } = this.#options;
    const { cursor, lastSeqs } = behind;
    this.#showEndings(session, behind);
    const skip = () => {
      for (const [conversationId, seq] of Object.entries(lastSeqs))
        log.skipTo(conversationId, Number(seq), Number(cursor?.position ?? 0));
      if (cursor) log.moveTo(cursor.epoch, Number(cursor.position));
    };
    if (fetchMissed === undefined || this.#opened === undefined) {
      skip();
      this.#show(session, { case: "behind", value: behind }, cursor);
      return;
    }
    this.#held = [];
    session.pause();
    this.#options.streams.abandonRequests();
    fetchMissed(behind, this.#opened, this.#streamOver.signal).then(
      () => {
        if (session !== this.#session) return;
        this.#missedFailures = 0;
        skip();
        this.#release(session);
      },
      (error: unknown) => {
        if (session === this.#session) this.#onMissedFailed(session, asParlanceError(error));
      },
    );
  }

  /** Shows how memberships ended meanwhile: these events are not in the history that can still be read. */
  #showEndings(session: EventStream, { left, disbanded }: Behind): void {
    const { log } = this.#options;
    const { eventKinds = [] } = this.#options.open;
    const wants = (kind: EventKind) => eventKinds.length === 0 || eventKinds.includes(kind);
    const isNew = (id: string, seq: bigint) => log.takeFromHistory(id, Number(seq)) === "new";
    for (const value of wants(EventKind.MEMBERSHIP) ? left : [])
      if (isNew(value.conversationId, value.seq))
        this.#showLogEvent(session, { case: "membershipChanged", value }, undefined, value);
    for (const value of wants(EventKind.GROUP) ? disbanded : [])
      if (isNew(value.conversationId, value.seq))
        this.#showLogEvent(session, { case: "groupChanged", value }, undefined, value);
  }

  /** Has the next stream tell the same again, as the cursor has not moved; but not for ever. */
  #onMissedFailed(session: EventStream, error: ParlanceError): void {
    if (!isTransient(error) && ++this.#missedFailures >= maxMissedFailures) this.stop(error);
    else session.fail(error);
  }

  #release(session: EventStream): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#onEvent(session, event);
    if (this.#held === undefined && this.#options.hasRoom()) session.resume();
  }

  /** Leaves a server that is about to stop: unary calls at once, the stream when told to. */
  #onDrain(session: EventStream, afterMs: number): void {
    this.#notBefore = performance.now() + afterMs;
    this.#options.streams.renew();
    void sleep(afterMs, this.#stop.signal).then(() => session.halfClose());
  }

  /** Returns the error to end with, or undefined when another stream is to be opened. */
  #judge({ closed, error }: StreamEnd, token: string | undefined): ParlanceError | undefined {
    switch (closed?.reason) {
      case CloseReason.REPLACED:
        return this.#unlessByOwn(
          new ParlanceError(Status.ABORTED, "another stream of this device took the place of this one", {
            reason: ErrorReason.SESSION_REPLACED,
          }),
        );
      case CloseReason.LOGGED_OUT:
        return new ParlanceError(Status.UNAUTHENTICATED, "the session was logged out", {
          reason: ErrorReason.SESSION_LOGGED_OUT,
        });
      case CloseReason.TOKEN_EXPIRED:
        if (token !== undefined) this.#options.login.refuse(token);
        return undefined;
      case CloseReason.UNSPECIFIED:
        if (closed?.retryAfter === undefined)
          return error ?? new ParlanceError(Status.ABORTED, "the server ended the stream");
        return undefined;
    }
    if (error === undefined) return undefined;
    switch (error.reason) {
      case ErrorReason.CURSOR_OF_ANOTHER_EPOCH:
      case ErrorReason.CURSOR_IN_FUTURE:
        this.#reset();
        return undefined;
      case ErrorReason.SESSION_LOGGED_OUT:
        return error;
      case ErrorReason.SESSION_REPLACED:
        return this.#unlessByOwn(error);
    }
    switch (error.code) {
      case Status.UNAUTHENTICATED:
        // Once may be a token that got old; twice is a user who may not in.
        if (token === undefined || ++this.#refusals > 1) return error;
        this.#options.login.refuse(token);
        return undefined;
      case Status.INVALID_ARGUMENT:
      case Status.PERMISSION_DENIED:
      case Status.FAILED_PRECONDITION:
      case Status.UNIMPLEMENTED:
      case Status.NOT_FOUND:
        return error;
      default:
        return undefined;
    }
  }

  /**
   * Returns the error, unless what took the place of the stream may be a try of
   * this very client: one that it gave up, and that a slow server opened after
   * the next.
   */
  #unlessByOwn(error: ParlanceError): ParlanceError | undefined {
    return performance.now() - this.#gaveUpMs < ownTriesMs ? undefined : error;
  }

  #reset(): void {
    const { log, show } = this.#options;
    const formerEpoch = log.epoch;
    log.reset();
    show({ case: "reset", value: { formerEpoch }, cursor: undefined });
  }
}

/** Tells where an event stands in the log; undefined for one that is not in it. */
function placeOf({ cursor, conversationId, seq, event }: ServerEvent) {
  if (cursor === undefined) return undefined;
  if (conversationId !== "") return { cursor, conversationId, seq };
  // Nodes of before the event told it itself, as of these three kinds.
  switch (event.case) {
    case "message":
    case "membershipChanged":
    case "groupChanged":
      return { cursor, conversationId: event.value.conversationId, seq: event.value.seq };
    default:
      return undefined;
  }
}

const gapError = new ParlanceError(Status.DATA_LOSS, "events are missing");

function asParlanceError(error: unknown): ParlanceError {
  if (error instanceof ParlanceError) return error;
  return new ParlanceError(Status.UNKNOWN, error instanceof Error ? error.message : "an unknown error", {
    cause: error,
  });
}
