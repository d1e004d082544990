/** The client's side of WebSocket (RFC 6455) for servers on this machine: no fragments, no compression. */

import { Wire } from "./wire.ts";

/** What kind of payload a frame has. */
export const Opcode = { TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Reads the payload of a frame, which it must not keep. */
export type OnFrame = (payload: Buffer) => void;

/** How to connect. */
export interface WebSocketOptions {
  port: number;
  path: string;
  /** A subprotocol to ask for. */
  subprotocol?: string;
  /** Takes each message. */
  onFrame: OnFrame;
  /** Is told after the last message of what arrived at once. */
  onBatchEnd: () => void;
  failed: (why: string) => void;
}

/** An open WebSocket. */
export interface WebSocketClient {
  send(opcode: number, payload: Buffer): void;
  close(): void;
}

const fin = 0x80;
const masked = 0x80;
const headEnd = Buffer.from("\r\n\r\n");
/** The mask is of zeros, which saves this side the masking and the server nothing. */
const maskBytes = 4;

/** Connects and resolves once the server has switched protocols. */
export async function connectWebSocket(options: WebSocketOptions): Promise<WebSocketClient> {
  const { port, path, subprotocol, onFrame, onBatchEnd, failed } = options;
  let opened = (): void => {};
  const open = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const wire = await Wire.connect(port, parseHead, failed);
  wire.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Key: cGFybGFuY2UgYmVuY2htYQ==\r\nSec-WebSocket-Version: 13\r\n" +
      `${subprotocol === undefined ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`}\r\n`,
  );
  await open;
  return { send, close: () => wire.close() };

  function send(opcode: number, payload: Buffer): void {
    wire.write(frame(opcode, payload));
  }

  function parseHead(buffer: Buffer): number {
    const end = buffer.indexOf(headEnd);
    if (end < 0) return 0;
    const [status = ""] = buffer.toString("latin1", 0, end).split("\r\n", 1);
    if (!status.includes(" 101 ")) throw new Error(`no WebSocket but ${status}`);
    wire.parse = parseFrames;
    opened();
    const framesAt = end + headEnd.length;
    return framesAt + parseFrames(buffer.subarray(framesAt));
  }

  function parseFrames(buffer: Buffer): number {
    let at = 0;
    while (at + 2 <= buffer.length) {
      let start = at + 2;
      let length = (buffer[at + 1] as number) & 0x7f;
      if (length === 126) {
        if (at + 4 > buffer.length) break;
        length = buffer.readUInt16BE(at + 2);
        start = at + 4;
      } else if (length === 127) {
        if (at + 10 > buffer.length) break;
        length = Number(buffer.readBigUInt64BE(at + 2));
        start = at + 10;
      }
      const end = start + length;
      if (end > buffer.length) break;
      const payload = buffer.subarray(start, end);
      const opcode = (buffer[at] as number) & 0x0f;
      if (opcode === Opcode.CLOSE) throw new Error(`the server closed: ${payload.toString("latin1", 2)}`);
      if (opcode === Opcode.PING) send(Opcode.PONG, payload);
      else onFrame(payload);
      at = end;
    }
    onBatchEnd();
    return at;
  }
}

function frame(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125;
  const head = Buffer.alloc((long ? 4 : 2) + maskBytes);
  head[0] = fin | opcode;
  head[1] = masked | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}
