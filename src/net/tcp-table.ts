import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";

const lookEveryMs = 2_000;
/** How long a peer may acknowledge nothing of what it is sent. */
const silentMs = 8_000;

/**
 * Cuts connections whose peer does not acknowledge what it is sent. TCP itself
 * would try for a quarter of an hour, and its keepalive probes only connections
 * on which nothing is under way. Node cannot set TCP_USER_TIMEOUT, but Linux
 * shows in a table which connections send again; on other systems this does
 * nothing.
 *
 * @returns stops it
 */
export function cutSilentPeers(sockets: ReadonlySet<Socket>): () => void {
  let sendingAgainSinceMs = new Map<Socket, number>();
  let bytesWritten = 0;
  let writtenMs = performance.now();

  /**
   * Whether a connection may be sending again, which begins some time after it
   * was written to. The table takes long to read where there are many.
   */
  function mayBeSendingAgain(): boolean {
    const before = bytesWritten;
    bytesWritten = 0;
    for (const socket of sockets) bytesWritten += socket.bytesWritten;
    const nowMs = performance.now();
    if (bytesWritten !== before) writtenMs = nowMs;
    return sockets.size > 0 && (nowMs - writtenMs < silentMs || sendingAgainSinceMs.size > 0);
  }

  async function look(): Promise<void> {
    const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map((path) => read(path)));
    const sendingAgain = connectionsSendingAgain(tables.join(""));
    const nowMs = performance.now();
    const sinceMs = new Map<Socket, number>();
    if (sendingAgain.size > 0) {
      for (const socket of sockets) {
        if (!sendingAgain.has(keyOf(socket))) continue;
        const since = sendingAgainSinceMs.get(socket) ?? nowMs;
        if (nowMs - since >= silentMs) socket.destroy();
        else sinceMs.set(socket, since);
      }
    }
    sendingAgainSinceMs = sinceMs;
  }

  let looking = false;
  const timer = setInterval(() => {
    if (looking || !mayBeSendingAgain()) return;
    looking = true;
    look()
      .catch(() => {})
      .finally(() => {
        looking = false;
      });
  }, lookEveryMs).unref();
  return () => clearInterval(timer);
}

/** Returns, from a table as `/proc/net/tcp` has it, the connections that wait for an acknowledgement and have sent again. */
export function connectionsSendingAgain(table: string): Set<string> {
  const found = new Set<string>();
  // Of a line: the port here, address and port there, the state ESTABLISHED, the timer for sending again, how often it fired.
  const line =
    /:([0-9A-F]{4}) ([0-9A-F]{8,32}:[0-9A-F]{4}) 01 [0-9A-F]{8}:[0-9A-F]{8} 01:[0-9A-F]{8} ([0-9A-F]{8})/g;
  for (const [, localPort, remote, times] of table.matchAll(line)) {
    if (times !== "00000000") found.add(`${localPort} ${remote}`);
  }
  return found;
}

/** Names a connection as `connectionsSendingAgain` does. */
export function keyOf({
  localPort = 0,
  remoteAddress = "",
  remotePort = 0,
}: Pick<Socket, "localPort" | "remoteAddress" | "remotePort">): string {
  return `${hex(localPort)} ${words(bytesOf(remoteAddress))}:${hex(remotePort)}`;
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}

/** The table has addresses as words of 32 bits, each in the machine's own order. */
function words(bytes: Buffer): string {
  if (littleEndian) bytes.swap32();
  return bytes.toString("hex").toUpperCase();
}

const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

function bytesOf(address: string): Buffer {
  const dotted = /(?:^|:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const tail = dotted ? Buffer.from(dotted.slice(1).map(Number)) : Buffer.alloc(0);
  if (!address.includes(":")) return tail;
  const [front = [], back = []] = address
    .replace(/\d+\.\d+\.\d+\.\d+$|%.*$/, "")
    .split("::")
    .map((half) => half.split(":").filter((group) => group !== ""));
  const [first, last] = [front, back].map((groups) =>
    Buffer.from(groups.map((group) => group.padStart(4, "0")).join(""), "hex"),
  ) as [Buffer, Buffer];
  const gap = Buffer.alloc(Math.max(0, 16 - first.length - last.length - tail.length));
  return Buffer.concat([first, gap, last, tail]);
}

async function read(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}
