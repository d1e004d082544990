import { type Case, sessionCount } from "../lib/context.ts";
import { rowOf } from "../lib/pairs.ts";
import { compareCpu } from "../lib/side.ts";
import { grpcFanOut, parlanceFanOut, tcpFanOut } from "./fan-out-sides.ts";

const unit = "µs CPU/delivery";

/** One message at a time to a group whose members each have a connection. */
export const fanOutIdle: Case = {
  name: "fanout-idle",
  work: "group of 1,000, own connection each, one message at a time",
  async run(context) {
    const size = { connected: sessionCount(context, 1_000, 50) };
    const ours = await parlanceFanOut(context, size);
    const pairs = await compareCpu(context, ours, await grpcFanOut(size));
    const row = rowOf(pairs, {
      name: "fanout-idle",
      unit,
      target: "≤ 1.2 × bare grpc-js",
      reaches: ({ ratio }) => ratio <= 1.2,
      floorIs: "bare grpc-js",
    });
    return [row];
  },
};

/** The same beside bare TCP: what Node and the kernel cost, without HTTP/2. */
export const fanOutTcp: Case = {
  name: "fanout-tcp",
  work: "the same, beside a bare TCP server",
  async run(context) {
    const size = { connected: sessionCount(context, 1_000, 50) };
    const ours = await parlanceFanOut(context, size);
    const pairs = await compareCpu(context, ours, await tcpFanOut(size));
    return [rowOf(pairs, { name: "fanout-tcp", unit, target: null, floorIs: "bare TCP" })];
  },
};

/** As many messages as go through: a hundred under way all the time. */
export const fanOutLoad: Case = {
  name: "fanout-load",
  work: "the same group, messages as fast as they go (100 under way)",
  async run(context) {
    const size = { connected: sessionCount(context, 1_000, 50), window: 100 };
    const ours = await parlanceFanOut(context, size);
    const pairs = await compareCpu(context, ours, await grpcFanOut(size));
    const row = rowOf(pairs, {
      name: "fanout-load",
      unit,
      target: "≤ 1.2 µs, ≥ 500,000/s",
      reaches: ({ ours, perSecond }) => ours <= 1.2 && perSecond >= 500_000,
      floorIs: "bare grpc-js, one write per stream and turn of the event loop",
    });
    return [row];
  },
};

/** What a gateway sees: many sessions over few connections. */
export const fanOutMux: Case = {
  name: "fanout-mux",
  work: "1,000 sessions over 10 connections, one message at a time",
  async run(context) {
    const connected = sessionCount(context, 1_000, 50);
    const size = { connected, perConnection: Math.min(100, Math.ceil(connected / 10)) };
    const ours = await parlanceFanOut(context, size);
    const pairs = await compareCpu(context, ours, await grpcFanOut(size));
    const row = rowOf(pairs, {
      name: "fanout-mux",
      unit,
      target: "≤ 1.3 × bare grpc-js",
      reaches: ({ ratio }) => ratio <= 1.3,
      floorIs: "bare grpc-js",
    });
    return [row];
  },
};

/** What members cost who are not there. */
export const bigGroup: Case = {
  name: "big-group",
  work: "10,000 members, 100 of them connected, one message at a time",
  async run(context) {
    const connected = sessionCount(context, 100, 20);
    const big = await parlanceFanOut(context, { connected, members: context.quick ? 200 : 10_000 });
    const pairs = await compareCpu(context, big, await parlanceFanOut(context, { connected }));
    const row = rowOf(pairs, {
      name: "big-group",
      unit,
      target: "≤ 1.3 × 100 members, 100 connected",
      reaches: ({ ratio }) => ratio <= 1.3,
      floorIs: "Parlance with a group of those connected",
    });
    return [row];
  },
};
