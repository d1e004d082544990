import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";

/** When a connection of HTTP/2 is asked whether it lives, and when it is closed. In milliseconds. */
export interface KeepaliveLimits {
  /** How long a peer may be silent after it was sent something, before it is asked. */
  keepaliveTimeMs: number;
  /** How long a peer may be silent that is sent nothing. */
  keepaliveIdleTimeMs: number;
  /** How long the peer may take to answer. */
  keepaliveTimeoutMs: number;
}

/** Asks the connections of a server whether they live. */
export interface Keepalive {
  /** Has the connection asked until it closes. `session` is what speaks HTTP/2 on the socket. */
  watch: (session: ServerHttp2Session, socket: Socket) => void;
  /** Asks no more, and soon cuts the connections that are left: one whose peer does not read would stay. */
  stop: () => void;
}

/** How long a connection may be silent before the system probes it; ten probes a second apart without an answer end it. */
const probeAfterMs = 4_000;
/** The most rounds in which all connections are looked at once, so that they are not all asked at the same time. */
const maxRounds = 16;
const minRoundMs = 10;
const farewellMs = 100;

/**
 * Has the peer's system asked, by ours and at no cost to either process, while
 * nothing is under way: so a pulled cable or a lost host shows within 14 seconds.
 */
export function probe(socket: Socket): void {
  socket.setKeepAlive(true, probeAfterMs);
}

/**
 * Starts to ask peers of HTTP/2 by PING, which finds what `probe` does not: a
 * process that hangs, a peer behind a proxy of TCP, and one that is gone with
 * something under way to it. One timer for all, as most are asked seldom: a
 * peer that was sent something within `keepaliveTimeMs`, others every
 * `keepaliveIdleTimeMs`. Anything that comes from it is an answer.
 */
export function startKeepalive(limits: KeepaliveLimits): Keepalive {
  const lookEveryMs = Math.min(limits.keepaliveTimeMs, limits.keepaliveIdleTimeMs) / 2;
  const rounds = Math.min(maxRounds, Math.max(1, Math.floor(lookEveryMs / minRoundMs)));
  const watched = Array.from({ length: rounds }, () => new Set<Peer>());
  const asked = new Set<Peer>();
  let round = 0;
  let joined = 0;

  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (const peer of asked) {
      if (peer.hasAnswered(nowMs)) asked.delete(peer);
      // The socket, since the session would wait until all it has written has left.
      else if (nowMs - peer.askedMs >= limits.keepaliveTimeoutMs) peer.socket.destroy();
    }
    for (const peer of watched[round] as Set<Peer>) {
      if (asked.has(peer) || !peer.toBeAsked(nowMs, limits)) continue;
      peer.ask(nowMs);
      asked.add(peer);
    }
    round = (round + 1) % rounds;
  }, lookEveryMs / rounds).unref();

  return {
    watch(session, socket) {
      const peer = new Peer(session, socket);
      const peers = watched[joined++ % rounds] as Set<Peer>;
      peers.add(peer);
      session.once("close", () => {
        peers.delete(peer);
        asked.delete(peer);
      });
    },
    stop() {
      clearInterval(timer);
      // Unless what was written last still leaves.
      setTimeout(() => {
        for (const peers of watched) for (const { socket } of peers) socket.destroy();
      }, farewellMs).unref();
    },
  };
}

/** A connection as it was when last looked at. */
class Peer {
  readonly socket: Socket;
  askedMs = 0;
  readonly #session: ServerHttp2Session;
  #heardMs = performance.now();
  #bytesRead = 0;
  #bytesWritten = 0;
  /** Whether nothing came from it that was surely sent after what it was sent last. */
  #owesAnswer = false;

  constructor(session: ServerHttp2Session, socket: Socket) {
    this.#session = session;
    this.socket = socket;
  }

  toBeAsked(nowMs: number, { keepaliveTimeMs, keepaliveIdleTimeMs }: KeepaliveLimits): boolean {
    // Its `close` comes a little after the fact.
    if (this.#session.destroyed) return false;
    const wasSent = this.#wasSent();
    if (!wasSent && !this.#owesAnswer) return nowMs - this.#heardMs >= keepaliveIdleTimeMs;
    if (this.#hasSpoken(nowMs)) {
      this.#owesAnswer = wasSent;
      return false;
    }
    if (this.#owesAnswer) return true;
    this.#owesAnswer = true;
    return nowMs - this.#heardMs >= keepaliveTimeMs;
  }

  ask(nowMs: number): void {
    this.askedMs = nowMs;
    this.#session.ping(ignore);
  }

  hasAnswered(nowMs: number): boolean {
    if (!this.#hasSpoken(nowMs)) return false;
    // The question itself needs no further answer.
    this.#bytesWritten = this.socket.bytesWritten;
    this.#owesAnswer = false;
    return true;
  }

  #wasSent(): boolean {
    const { bytesWritten } = this.socket;
    const was = bytesWritten !== this.#bytesWritten;
    this.#bytesWritten = bytesWritten;
    return was;
  }

  #hasSpoken(nowMs: number): boolean {
    const { bytesRead } = this.socket;
    const has = bytesRead !== this.#bytesRead;
    this.#bytesRead = bytesRead;
    if (has) this.#heardMs = nowMs;
    return has;
  }
}

function ignore(): void {}
